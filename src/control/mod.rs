//! The control plane: knows the fleet, decides where executions run, brings functions to agents.
//!
//! ```text
//! plane        puts the services together, which are what the front door calls:
//!              functions, calls, executions, agents, enrolment, machines
//! fleet/       the agents, slots and queues in memory; links: how agents are reached
//! desired      what agents should hold; sync brings it to them; health, feed: how they are
//! dispatch     hands executions to agents; idempotency: once per key
//! registration who is at an address; janitor: what has expired
//! news         what others have written to the store; contacts: what is kept for an agent
//! ```

pub mod agents;
pub mod calls;
mod contacts;
pub mod desired;
pub mod dispatch;
pub mod enrolment;
pub mod executions;
pub mod feed;
pub mod fleet;
pub mod functions;
pub mod health;
pub mod idempotency;
mod janitor;
pub mod links;
pub mod machines;
mod news;
pub mod plane;
pub mod records;
pub mod registration;
pub mod retention;
#[cfg(test)]
mod simulation;
pub mod sync;
