//! The worker.

pub mod service;
pub mod worker_api;
