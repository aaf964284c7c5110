//! The control plane: knows the fleet, decides where executions run, brings functions to agents.
//!
//! ```text
//! plane        starts and ends the services; carries out commands (command, error)
//! dispatch     hands executions to agents; fleet: slots and queues; idempotency: once per key
//! functions    the desired state; sync brings it to agents; health and feed say how they are
//! executions   finds, reads, follows, lists and cancels what was handed over
//! registration, enrolment    how agents come into the fleet; links: how they are reached
//! ```

pub mod command;
pub mod dispatch;
pub mod enrolment;
pub mod error;
pub mod executions;
pub mod feed;
pub mod fleet;
pub mod functions;
pub mod health;
pub mod idempotency;
mod janitor;
pub mod links;
pub mod plane;
pub mod registration;
pub mod sync;
