//! The worker.

pub mod output;
pub mod release;
pub mod workdir;
