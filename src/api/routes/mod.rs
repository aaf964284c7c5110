//! The API's routes, by resource: each parses its request into a command and renders the answer.

pub(crate) mod agents;
pub(crate) mod executions;
pub(crate) mod functions;
pub(crate) mod input;
pub(crate) mod machine;
pub(crate) mod operation;
pub(crate) mod render;
