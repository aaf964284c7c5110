//! Ending an execution.

use super::error::ExecutionError;
use super::locate::{Executions, Whereabouts, unreachable};
use crate::base::causes::with_causes;
use crate::model::ids::ExecutionId;
use crate::rpc::RpcError;
use crate::wire::cancel::CancelOutcome;

impl Executions {
    /// Ends it; its whole process tree is dead when this returns.
    ///
    /// # Errors
    /// Unknown, ended already, or its agent cannot be asked or cannot confirm.
    pub(crate) fn cancel(&self, id: &ExecutionId) -> Result<(), ExecutionError> {
        let agent = match self.locate(id)? {
            Whereabouts::Kept(kept) => {
                return Err(ExecutionError::Ended {
                    id: id.clone(),
                    status: kept.record.status(),
                });
            }
            Whereabouts::At { agent, .. } => agent,
        };
        let outcome = self
            .contacts
            .links
            .client_to_ask(&agent.agent)
            .and_then(|client| client.cancel(id))
            .map_err(|error| match error {
                // It was asked, or may have been, and has not said that the tree is dead.
                RpcError::Refused(_)
                | RpcError::Rejected { .. }
                | RpcError::Deadline
                | RpcError::Interrupted { .. }
                | RpcError::NoRoom { .. }
                | RpcError::Answer(_)
                | RpcError::Garbled { .. }
                | RpcError::Status { .. } => ExecutionError::CancelUnconfirmed {
                    id: id.clone(),
                    message: format!("agent {}: {}", agent.agent.id, with_causes(&error)),
                },
                // It was not told.
                error @ (RpcError::Unreachable
                | RpcError::Unimplemented
                | RpcError::TooLarge { .. }
                | RpcError::Address(_)
                | RpcError::NoIdentity
                | RpcError::Tls(_)
                | RpcError::Source(_)) => unreachable(&agent.agent.id, error),
            })?;
        match outcome {
            CancelOutcome::Cancelled => {
                // Its end comes home, so that it stays so.
                let _ = self.get(id);
                Ok(())
            }
            CancelOutcome::AlreadyEnded | CancelOutcome::UnknownExecution => {
                Err(ExecutionError::Ended {
                    id: id.clone(),
                    status: self.get(id)?.record.status(),
                })
            }
        }
    }
}
