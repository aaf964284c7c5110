//! The ground that every other layer stands on: threads that join, cancels that wake,
//! bounded pools, group commit, databases, time, units, files that are whole or absent, signals.
//!
//! Refuses: anything that knows what a function, an agent or an execution is.

pub mod atomic_file;
pub mod backoff;
pub mod cancel;
pub mod causes;
pub mod clock;
pub mod group_commit;
pub mod https;
pub mod pool;
pub mod process;
pub mod signals;
pub mod sqlite;
pub mod threads;
pub mod units;
