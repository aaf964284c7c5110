//! The programs that stay: control plane, agent, or both in one process, and how they start and
//! end; and how an agent's machine joins a fleet.

pub mod agent;
pub(crate) mod dev;
mod exit;
mod join;
mod logging;
pub(crate) mod server;
