//! Refusals as gRPC statuses: one exhaustive match each way. The kind travels in the status's
//! details; the code is for peers and tools that know only codes.

use thiserror::Error;

use super::grpc::status::{Code, Status};
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
    pub(crate) fn to_status(&self) -> Status {
        let detail = Detail {
            kind: self.kind,
            subject: self.subject.clone(),
        };
        Status {
            code: code(self.kind),
            message: self.message.clone(),
            details: detail.encode(),
        }
    }

    /// `None` for a status without a kind that this Flux knows.
    pub(crate) fn from_status(status: &Status) -> Option<Refusal> {
        let detail = Detail::decode(&status.details)?;
        Some(Refusal {
            kind: detail.kind,
            subject: detail.subject,
            message: status.message.clone(),
        })
    }
}

fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::FunctionAtCapacity
        | ErrorKind::AgentAtCapacity
        | ErrorKind::NoUserLeft
        | ErrorKind::Busy => Code::ResourceExhausted,
        ErrorKind::FunctionNotFound | ErrorKind::ExecutionNotFound => Code::NotFound,
        ErrorKind::FunctionNotDeployed | ErrorKind::FunctionOutOfDate | ErrorKind::Draining => {
            Code::FailedPrecondition
        }
        ErrorKind::ExecutionExists => Code::AlreadyExists,
        ErrorKind::Invalid | ErrorKind::ArchiveRefused => Code::InvalidArgument,
        ErrorKind::Storage => Code::Internal,
        ErrorKind::NotAuthorised => Code::PermissionDenied,
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
        let bare = Status::new(Code::NotFound, "");
        assert_eq!(Refusal::from_status(&bare), None);
    }
}
