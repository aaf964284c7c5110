//! What Flux is about, as values: names, functions, agents, executions, resources.
//!
//! Refuses: I/O, clocks, locks, wire and stored forms. A value of these types is valid, because
//! its only constructors check.

pub mod agent;
pub mod ends;
pub mod enforced;
pub mod execution;
pub mod function;
pub mod ids;
pub mod isolation;
pub mod output;
pub mod resources;
