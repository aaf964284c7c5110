//! The worker: takes functions and executions from the control plane, runs each execution as a
//! contained process, and remembers how it ended.
//!
//! ```text
//! daemon      starts, reconciles and ends the worker
//! worker      what the control plane can ask; service speaks gRPC for it
//! admission   what may run; functions, release: what is held; execution: one run, on
//!             one of the threads of runs
//! isolation   how functions are kept apart; runners, users: as whom they run
//! live        what runs; journal, output, workdir: what is on disk; events: who is told
//! ```

pub mod admission;
pub mod context;
pub mod daemon;
pub mod environment;
pub mod events;
pub mod execution;
pub mod functions;
pub mod isolation;
pub mod journal;
pub mod live;
pub mod output;
pub mod release;
pub mod runners;
pub mod runs;
pub mod service;
pub mod users;
pub mod workdir;
pub mod worker;
pub mod worker_api;
