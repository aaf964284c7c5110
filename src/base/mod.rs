//! The ground that every other layer stands on: threads that join, cancels that wake,
//! bounded pools, group commit, databases, time, units, files that are whole or absent, signals.
//!
//! Refuses: anything that knows what a function, an agent or an execution is.

pub mod atomic_file;
pub(crate) mod backoff;
pub mod cancel;
pub(crate) mod causes;
pub mod clock;
pub(crate) mod group_commit;
pub(crate) mod https;
#[cfg_attr(unix, path = "platform/unix.rs")]
#[cfg_attr(windows, path = "platform/windows.rs")]
mod platform;
pub(crate) mod pool;
pub mod process;
pub(crate) mod signals;
pub mod sqlite;
pub mod threads;
pub mod units;
