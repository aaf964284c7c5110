//! Refusals as gRPC statuses: one exhaustive match each way. The kind travels in the status's
//! details; the code is for peers and tools that know only codes.

use grpcio::{RpcStatus, RpcStatusCode};
use thiserror::Error;

use crate::wire::error::{Detail, ErrorKind};

/// The agent says no, and why. Except for [`ErrorKind::Storage`], nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    pub kind: ErrorKind,
    /// The execution, function or field that it is about; may be empty.
    pub subject: String,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// For the caller.
    pub(crate) fn to_status(&self) -> RpcStatus {
        let detail = Detail {
            kind: self.kind,
            subject: self.subject.clone(),
        };
        RpcStatus::with_details(code(self.kind), self.message.clone(), detail.encode())
    }

    /// `None` for a status without a kind that this Flux knows.
    pub(crate) fn from_status(status: &RpcStatus) -> Option<Refusal> {
        let detail = Detail::decode(status.details())?;
        Some(Refusal {
            kind: detail.kind,
            subject: detail.subject,
            message: status.message().to_owned(),
        })
    }
}

fn code(kind: ErrorKind) -> RpcStatusCode {
    match kind {
        ErrorKind::FunctionAtCapacity
        | ErrorKind::AgentAtCapacity
        | ErrorKind::NoUserLeft
        | ErrorKind::Busy => RpcStatusCode::RESOURCE_EXHAUSTED,
        ErrorKind::FunctionNotFound | ErrorKind::ExecutionNotFound => RpcStatusCode::NOT_FOUND,
        ErrorKind::FunctionNotDeployed | ErrorKind::FunctionOutOfDate | ErrorKind::Draining => {
            RpcStatusCode::FAILED_PRECONDITION
        }
        ErrorKind::ExecutionExists => RpcStatusCode::ALREADY_EXISTS,
        ErrorKind::Invalid | ErrorKind::ArchiveRefused => RpcStatusCode::INVALID_ARGUMENT,
        ErrorKind::Storage => RpcStatusCode::INTERNAL,
        ErrorKind::NotAuthorised => RpcStatusCode::PERMISSION_DENIED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_survives_its_status() {
        for &kind in ErrorKind::ALL {
            let refusal = Refusal {
                kind,
                subject: "resize".into(),
                message: "no".into(),
            };
            assert_eq!(Refusal::from_status(&refusal.to_status()), Some(refusal));
        }
        let bare = RpcStatus::new(RpcStatusCode::NOT_FOUND);
        assert_eq!(Refusal::from_status(&bare), None);
    }
}
