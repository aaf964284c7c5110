//! The worker: takes functions and executions from the control plane, runs each execution as a
//! contained process, and remembers how it ended.
//!
//! ```text
//! daemon      starts, reconciles and ends the worker
//! serve/      what control planes ask of it, and what it tells them
//! run/        executions while they run
//! who/        as whom functions run, and how far they are kept apart
//! functions   what is held, with its code in release/
//! journal/    what must outlive the process; output/, workdir/: what else is on disk
//! ```

pub(crate) mod daemon;
pub(crate) mod functions;
pub mod journal;
pub(crate) mod output;
pub mod release;
pub(crate) mod run;
pub mod serve;
pub(crate) mod who;
pub mod workdir;
