//! The worker.

pub mod release;
pub mod workdir;
