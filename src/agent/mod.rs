//! The worker.

pub mod admission;
