//! Why an execution could not be read, followed or cancelled.

use thiserror::Error;

use crate::model::execution::Status;
use crate::model::ids::{AgentId, ExecutionId};
use crate::rpc::RpcError;
use crate::store::StoreError;

/// Why an execution is not read, followed or ended. An outage is never "not found".
#[derive(Debug, Error)]
pub(crate) enum ExecutionError {
    /// No execution of that id is known.
    #[error("no execution {0} is known")]
    NotFound(ExecutionId),
    /// It has ended, so there is nothing to cancel.
    #[error("execution {id} has ended: {}", status.as_str())]
    Ended { id: ExecutionId, status: Status },
    /// The agent that owns it cannot be asked.
    #[error("agent {agent} cannot be asked")]
    AgentUnreachable {
        agent: AgentId,
        /// Why not.
        #[source]
        source: RpcError,
    },
    /// The agent could not confirm that it is dead.
    #[error("execution {id} could not be confirmed dead: {message}")]
    CancelUnconfirmed {
        id: ExecutionId,
        /// The agent's words.
        message: String,
    },
    /// The store or the history failed.
    #[error("the execution cannot be looked up or kept")]
    Store(#[from] StoreError),
}
