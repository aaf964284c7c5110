//! Everything that can go wrong with a command, as one closed set that the front door maps to
//! HTTP in one match.

use thiserror::Error;

use super::dispatch::DispatchError;
use super::fleet::FleetError;
use super::functions::FunctionError;
use crate::model::execution::Status;
use crate::model::ids::{AgentId, ExecutionId};
use crate::pki::PkiError;
use crate::pki::enrolment::EnrolmentError;
use crate::rpc::{ProbeError, RpcError};
use crate::store::StoreError;
use crate::wire::error::WireError;

/// Why a command was not carried out.
#[derive(Debug, Error)]
pub enum ControlError {
    /// About a function.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// About an agent.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// About running something.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The address to register makes no sense.
    #[error("address {address:?}: {reason}")]
    BadAddress {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody usable answers at the address to register.
    #[error("agent at {address}")]
    Unidentified {
        /// As it was given.
        address: String,
        /// Why.
        #[source]
        source: ProbeError,
    },
    /// No cloud provider is configured.
    #[error("no cloud provider is configured")]
    NoProvider,
    /// No execution of that id is known.
    #[error("no execution {0}")]
    ExecutionNotFound(ExecutionId),
    /// It has ended, so there is nothing to cancel.
    #[error("execution {id} has ended: {}", status.as_str())]
    ExecutionEnded {
        /// Which.
        id: ExecutionId,
        /// How.
        status: Status,
    },
    /// The agent that owns the execution cannot be asked.
    #[error("agent {agent}")]
    AgentUnreachable {
        /// Which.
        agent: AgentId,
        /// Why not.
        #[source]
        source: RpcError,
    },
    /// The agent could not confirm that the execution is dead.
    #[error("execution {id} could not be confirmed dead: {message}")]
    CancelUnconfirmed {
        /// Which.
        id: ExecutionId,
        /// The agent's words.
        message: String,
    },
    /// The key was used for another call.
    #[error("the idempotency key was used for a different call")]
    IdempotencyMismatch,
    /// The first call with that key is still running.
    #[error("the first call with this idempotency key still runs, as execution {0}")]
    IdempotencyPending(ExecutionId),
    /// The first call with that key ended with the control plane, and nobody knows its outcome.
    #[error(
        "the first call with this idempotency key was execution {0}, of which no agent has a record"
    )]
    IdempotencyUnsettled(ExecutionId),
    /// Certificates are off, so there is nothing to enrol into.
    #[error("certificates are turned off by disable_grpc_tls")]
    PkiDisabled,
    /// Issuing a certificate failed.
    #[error("issue a certificate")]
    Pki(#[from] PkiError),
    /// The token is unknown, used or expired.
    #[error("the token is unknown, was used already, or has expired")]
    TokenRefused,
    /// The request was not made with the token, or is not sound.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// The store failed.
    #[error("ask the store")]
    Store(#[from] StoreError),
    /// A record or an answer of an agent cannot be put into the form it has to have.
    #[error("understand a record")]
    Record(#[from] WireError),
    /// The control plane ends.
    #[error("the control plane is shutting down")]
    ShuttingDown,
}
