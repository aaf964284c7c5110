//! What an agent says that is told to drain, or to go on.

use super::error::WireError;
use super::number::{count_u32, out_i32};
use super::proto;

/// An agent's answer to a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainState {
    /// Whether it accepts nothing now.
    pub draining: bool,
    /// Executions that still run.
    pub active_tasks: u32,
}

/// Encodes it for the control plane.
pub(crate) fn drain_to_proto(state: DrainState) -> proto::DrainResponse {
    proto::DrainResponse {
        draining: state.draining,
        active_tasks: out_i32(state.active_tasks),
    }
}

/// From an agent.
///
/// # Errors
/// A count below zero.
pub(crate) fn drain_from_proto(message: &proto::DrainResponse) -> Result<DrainState, WireError> {
    Ok(DrainState {
        draining: message.draining,
        active_tasks: count_u32("active_tasks", message.active_tasks)?,
    })
}
