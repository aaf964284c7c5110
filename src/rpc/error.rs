//! How a call can fail, by what the caller may conclude from it.

use std::io;

use grpcio::{RpcStatus, RpcStatusCode};
use thiserror::Error;

use super::address::InvalidAddress;
use super::status::Refusal;
use crate::wire::error::{ErrorKind, WireError};

/// See each variant for what is known after it.
#[derive(Debug, Error)]
pub enum RpcError {
    /// No connection: the call was never sent, and nothing has started.
    #[error("the agent cannot be reached")]
    Unreachable,
    /// The connection broke after the call was started on it: whether the agent did it is
    /// unknown.
    #[error("the connection broke before the answer: {message}")]
    Interrupted {
        /// From the transport, for people.
        message: String,
    },
    /// The agent refused, with a kind.
    #[error("the agent refused")]
    Refused(#[source] Refusal),
    /// A legacy agent said no in words alone.
    #[error("the agent refused: {message}")]
    Rejected {
        /// Its words.
        message: String,
    },
    /// No answer in time: whether the agent did it is unknown.
    #[error("no answer within the deadline")]
    Deadline,
    /// The agent does not know this call: it is of an older version or the legacy
    /// implementation.
    #[error("the agent does not know this call")]
    Unimplemented,
    /// The message is over the protocol's bound and was not sent.
    #[error("a message of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// Of the message, or more.
        bytes: usize,
        /// That applies.
        limit: usize,
    },
    /// The address is none, and nothing was sent.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// TLS was asked for and this side has no certificate; nothing was sent.
    #[error("TLS is asked for and this control plane has no certificate")]
    NoIdentity,
    /// The archive to be sent cannot be read; the agent has discarded what it got.
    #[error("the archive cannot be read")]
    Source(#[source] io::Error),
    /// The answer cannot be understood: whether the agent did it is unknown.
    #[error("the agent's answer cannot be understood")]
    Answer(#[from] WireError),
    /// A failure outside this protocol: whether the agent did it is unknown.
    #[error("the call failed with {code}: {message}")]
    Status {
        /// gRPC's name for it.
        code: String,
        /// For people.
        message: String,
    },
}

impl RpcError {
    /// Whether it is certain that the agent has not started what it was asked for, so that
    /// another agent may be asked.
    pub fn nothing_started(&self) -> bool {
        match self {
            RpcError::Unreachable
            | RpcError::Unimplemented
            | RpcError::TooLarge { .. }
            | RpcError::Address(_)
            | RpcError::NoIdentity => true,
            RpcError::Refused(refusal) => !matches!(
                refusal.kind,
                // It was accepted before, or nobody knows how far the disk came.
                ErrorKind::ExecutionExists | ErrorKind::Storage
            ),
            RpcError::Interrupted { .. }
            | RpcError::Rejected { .. }
            | RpcError::Deadline
            | RpcError::Source(_)
            | RpcError::Answer(_)
            | RpcError::Status { .. } => false,
        }
    }

    /// The kind, when the agent gave one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            RpcError::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Of a call that was started on a ready connection.
    pub(super) fn of_call(error: grpcio::Error) -> RpcError {
        match error {
            grpcio::Error::RpcFailure(status) | grpcio::Error::RpcFinished(Some(status)) => {
                RpcError::of_status(&status)
            }
            grpcio::Error::RpcFinished(None) | grpcio::Error::RemoteStopped => {
                RpcError::Interrupted {
                    message: "the agent closed the call".to_owned(),
                }
            }
            other => RpcError::Status {
                code: "CLIENT".to_owned(),
                // Has its cause in its text already.
                message: other.to_string(),
            },
        }
    }

    /// Of a call that could not even be handed to the transport.
    pub(super) fn of_start(error: grpcio::Error) -> RpcError {
        match error {
            // The channel is being taken down.
            grpcio::Error::QueueShutdown | grpcio::Error::CallFailure(_) => RpcError::Unreachable,
            other => RpcError::of_call(other),
        }
    }

    fn of_status(status: &RpcStatus) -> RpcError {
        if let Some(refusal) = Refusal::from_status(status) {
            return RpcError::Refused(refusal);
        }
        let message = status.message().to_owned();
        match status.code() {
            RpcStatusCode::UNIMPLEMENTED => RpcError::Unimplemented,
            RpcStatusCode::DEADLINE_EXCEEDED => RpcError::Deadline,
            RpcStatusCode::UNAVAILABLE | RpcStatusCode::CANCELLED => {
                RpcError::Interrupted { message }
            }
            // The gRPC library drops the details of a call that is refused before its method is
            // reached; nothing else answers with these codes.
            RpcStatusCode::PERMISSION_DENIED | RpcStatusCode::UNAUTHENTICATED => {
                RpcError::Refused(Refusal {
                    kind: ErrorKind::NotAuthorised,
                    subject: String::new(),
                    message,
                })
            }
            code => RpcError::Status {
                code: code.to_string(),
                message,
            },
        }
    }
}
