//! The worker.

pub mod release;
