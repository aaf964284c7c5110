//! How a call can fail, by what the caller may conclude from it.

use std::io;

use openssl::error::ErrorStack;
use thiserror::Error;

use super::address::InvalidAddress;
use super::grpc::status::{Code, Status};
use super::h2::calls::Failure;
use super::status::Refusal;
use crate::wire::error::{ErrorKind, WireError};

/// See each variant for what is known after it.
#[derive(Debug, Error)]
pub enum RpcError {
    /// No connection, or one on which the call was not taken: nothing has started.
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
    /// The answer was more than one end had room for, and is gone: the agent did what it was asked for, or has turned it
    /// down, and can be asked which.
    #[error("there was no room for the agent's answer: {message}")]
    NoRoom {
        /// For people.
        message: String,
    },
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
    /// OpenSSL could not be set up with this side's certificate; nothing was sent.
    #[error("TLS could not be set up")]
    Tls(#[source] ErrorStack),
    /// The answer is no message of its kind: whether the agent did it is unknown.
    #[error("the agent's answer cannot be decoded")]
    Garbled {
        /// What makes it none.
        source: prost::DecodeError,
    },
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
            | RpcError::NoIdentity
            | RpcError::Tls(_) => true,
            RpcError::Refused(refusal) => !matches!(
                refusal.kind,
                // It was accepted before, or nobody knows how far the disk came.
                ErrorKind::ExecutionExists | ErrorKind::Storage
            ),
            RpcError::Interrupted { .. }
            | RpcError::NoRoom { .. }
            | RpcError::Rejected { .. }
            | RpcError::Deadline
            | RpcError::Source(_)
            | RpcError::Answer(_)
            | RpcError::Garbled { .. }
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
    pub(super) fn of_failure(failure: Failure) -> RpcError {
        match failure {
            Failure::Status(status) => RpcError::of_status(status),
            Failure::Deadline => RpcError::Deadline,
            Failure::NotTaken => RpcError::Unreachable,
            Failure::Broken(message) => RpcError::Interrupted { message },
        }
    }

    fn of_status(status: Status) -> RpcError {
        if let Some(refusal) = Refusal::from_status(&status) {
            return RpcError::Refused(refusal);
        }
        let message = status.message;
        match status.code {
            Code::Unimplemented => RpcError::Unimplemented,
            Code::DeadlineExceeded => RpcError::Deadline,
            Code::Unavailable | Code::Cancelled => RpcError::Interrupted { message },
            Code::ResourceExhausted => RpcError::NoRoom { message },
            // Servers on the gRPC core drop the details of a call that is refused before its method is
            // reached; nothing else answers with these codes.
            Code::PermissionDenied | Code::Unauthenticated => RpcError::Refused(Refusal {
                kind: ErrorKind::NotAuthorised,
                subject: String::new(),
                message,
            }),
            Code::Ok
            | Code::Unknown
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Internal
            | Code::DataLoss => RpcError::Status {
                code: status.code.name().to_owned(),
                message,
            },
        }
    }
}
