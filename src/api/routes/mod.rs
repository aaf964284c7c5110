//! The API's routes, by resource: each parses its request into a command and renders the answer.

pub mod agents;
pub mod executions;
pub mod functions;
pub mod input;
pub mod machine;
pub mod operation;
pub mod render;
