//! The worker's own record of executions, and of the functions it holds.
//!
//! ```text
//! state_dir/journal.db      executions (without their output), the order of their ends, functions held
//! state_dir/journal.lock    held while the journal is open
//! ```
//!
//! Owns: what must be known after this process has died. Refuses: output, which is in spool
//! files, and executions whose caller waits, until they have ended: when the agent dies, that
//! caller learns it from the broken call.
//! Invariants: a durable execution is on disk before its acceptance is answered, and its ending
//! before anybody sees it; an ended record never changes; what is found running at the start has
//! ended as lost, once; every end has a number, by which a control plane reads all of them once.

mod ends;
#[cfg(test)]
mod ends_tests;
mod error;
mod executions;
mod file;
mod functions;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use ends::MAX_ENDS;
pub use error::JournalError;
pub use executions::ExecutionFilter;
pub(crate) use executions::MAX_LISTED;
pub use file::{AcceptedExecution, Journal};
pub(crate) use functions::HeldFunction;
