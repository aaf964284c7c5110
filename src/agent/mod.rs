//! The worker.

pub mod journal;
