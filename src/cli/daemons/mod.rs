//! The programs that stay: the control plane, the agent, or both in one process. How they start and
//! end, and how an agent's machine joins a fleet.

pub mod agent;
pub(crate) mod dev;
mod exit;
mod join;
mod logging;
pub(crate) mod server;
