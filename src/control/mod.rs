//! The control plane: knows the fleet, decides where executions run, brings functions to agents.
//!
//! ```text
//! plane        puts the services together, which are what the front door calls:
//!              functions, calls, executions, agents, enrolment, machines
//! fleet/       the agents, slots and queues in memory; links: how agents are reached
//! desired      what agents should hold; sync brings it to them; health, feed: how they are
//! dispatch     hands executions to agents; idempotency: once per key
//! records/     what has ended, on its way home and kept there; retention: what of it makes room
//! registration who is at an address; janitor: what has expired
//! news         what others have written to the store; contacts: what is kept for an agent
//! simulation/  days of all of it, on a clock of their own, in tests
//! ```

pub(crate) mod agents;
pub(crate) mod calls;
mod contacts;
pub(crate) mod desired;
pub(crate) mod dispatch;
pub(crate) mod enrolment;
pub(crate) mod executions;
pub(crate) mod feed;
pub(crate) mod fleet;
pub(crate) mod functions;
pub(crate) mod health;
pub(crate) mod idempotency;
mod janitor;
pub(crate) mod links;
pub(crate) mod machines;
mod news;
pub(crate) mod plane;
pub(crate) mod records;
pub(crate) mod registration;
pub(crate) mod retention;
#[cfg(test)]
mod simulation;
pub(crate) mod sync;
