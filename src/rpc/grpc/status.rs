//! How a call ended.

use thiserror::Error;

/// gRPC's codes (doc/statuscodes.md). A number that is none of them reads as [`Code::Unknown`], as the
/// standard wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

/// A code, words for people, and typed details.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {message}", code.name())]
pub(crate) struct Status {
    pub code: Code,
    pub message: String,
    /// `grpc-status-details-bin`; empty where there are none.
    pub details: Vec<u8>,
}

impl Code {
    const ALL: [(Code, &'static str); 17] = [
        (Code::Ok, "OK"),
        (Code::Cancelled, "CANCELLED"),
        (Code::Unknown, "UNKNOWN"),
        (Code::InvalidArgument, "INVALID_ARGUMENT"),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        (Code::NotFound, "NOT_FOUND"),
        (Code::AlreadyExists, "ALREADY_EXISTS"),
        (Code::PermissionDenied, "PERMISSION_DENIED"),
        (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
        (Code::FailedPrecondition, "FAILED_PRECONDITION"),
        (Code::Aborted, "ABORTED"),
        (Code::OutOfRange, "OUT_OF_RANGE"),
        (Code::Unimplemented, "UNIMPLEMENTED"),
        (Code::Internal, "INTERNAL"),
        (Code::Unavailable, "UNAVAILABLE"),
        (Code::DataLoss, "DATA_LOSS"),
        (Code::Unauthenticated, "UNAUTHENTICATED"),
    ];

    pub(crate) fn number(self) -> usize {
        self as usize
    }

    pub(crate) fn of_number(number: usize) -> Code {
        Code::ALL
            .get(number)
            .map_or(Code::Unknown, |(code, _)| *code)
    }

    pub(crate) fn name(self) -> &'static str {
        Code::ALL[self.number()].1
    }
}

impl Status {
    /// Without details.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Status {
        Status {
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_at_their_numbers() {
        for (number, (code, _)) in Code::ALL.iter().enumerate() {
            assert_eq!(code.number(), number);
            assert_eq!(Code::of_number(number), *code);
        }
        assert_eq!(Code::of_number(17), Code::Unknown);
        assert_eq!(Code::Unauthenticated.number(), 16);
    }
}
