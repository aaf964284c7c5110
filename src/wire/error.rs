//! What can be wrong with a message, and how refusals travel: as a kind, never as a text to
//! search in.

use prost::Message;
use thiserror::Error;

use super::proto;
use crate::model::function::{InvalidEnv, InvalidHandler};
use crate::model::ids::InvalidId;

/// Why a message cannot be understood.
#[derive(Debug, Error)]
pub enum WireError {
    /// A name or id breaks its rule.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A handler leaves its archive, or is none.
    #[error(transparent)]
    Handler(#[from] InvalidHandler),
    /// An environment entry is refused.
    #[error(transparent)]
    Env(#[from] InvalidEnv),
    /// A count or a size below zero.
    #[error("{field} is {value}: expected 0 or more")]
    Negative {
        /// The name of the message's field.
        field: &'static str,
        /// As received.
        value: i64,
    },
    /// A word outside its list.
    #[error("{field} is {value:?}: expected {expected}")]
    Word {
        /// The name of the message's field.
        field: &'static str,
        /// As received, cut to 100 characters.
        value: String,
        /// The list.
        expected: &'static str,
    },
    /// A part that must be there is not.
    #[error("{field} is missing")]
    Missing {
        /// The name of the message's field.
        field: &'static str,
    },
    /// Status, reason, exit code and signal contradict each other.
    #[error("the record's status {status:?} and reason {reason:?} make no ending")]
    Ending {
        /// As received.
        status: String,
        /// As received.
        reason: String,
    },
    /// Changes of stream that are not in order, or not within the output.
    #[error("output_changes: expected ascending positions within the output")]
    Changes,
    /// A record that is no JSON of its shape.
    #[error("the record is not the expected JSON")]
    Json(#[from] serde_json::Error),
}

impl WireError {
    pub(super) fn word(field: &'static str, value: &str, expected: &'static str) -> WireError {
        WireError::Word {
            field,
            value: value.chars().take(100).collect(),
            expected,
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why an agent refuses a call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorKind {
            $($(#[$doc])* $name,)*
        }

        impl ErrorKind {
            /// All of them.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$name,)*];

            fn from_proto(kind: proto::ErrorKind) -> Option<ErrorKind> {
                match kind {
                    proto::ErrorKind::Unspecified => None,
                    $(proto::ErrorKind::$name => Some(ErrorKind::$name),)*
                }
            }

            fn to_proto(self) -> proto::ErrorKind {
                match self {
                    $(ErrorKind::$name => proto::ErrorKind::$name,)*
                }
            }
        }
    };
}

kinds! {
    /// The function runs `max_concurrency` executions here already.
    FunctionAtCapacity,
    /// The agent runs as many executions as it may.
    AgentAtCapacity,
    /// The agent does not know the function.
    FunctionNotFound,
    /// The function is known but holds no code.
    FunctionNotDeployed,
    /// Another version or configuration is in force here.
    FunctionOutOfDate,
    /// The agent drains and accepts nothing.
    Draining,
    /// No such execution is kept here.
    ExecutionNotFound,
    /// An execution of that id was accepted before.
    ExecutionExists,
    /// The request breaks a rule.
    Invalid,
    /// The archive breaks a rule, or its digest or size is another.
    ArchiveRefused,
    /// The agent's disk or journal failed.
    Storage,
    /// The caller is not the control plane.
    NotAuthorised,
    /// All threads for calls of this kind are taken; nothing was done.
    Busy,
    /// Every user id of the agent's range belongs to a function.
    NoUserLeft,
}

/// The typed part of a failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    pub kind: ErrorKind,
    /// The execution, function or field that it is about; may be empty.
    pub subject: String,
}

impl Detail {
    /// The bytes that the status carries as its details.
    pub(crate) fn encode(&self) -> Vec<u8> {
        proto::ErrorDetail {
            kind: self.kind.to_proto().into(),
            subject: self.subject.clone(),
        }
        .encode_to_vec()
    }

    /// `None` when the bytes are no detail, or of a kind that this Flux does not know.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Detail> {
        let detail = proto::ErrorDetail::decode(bytes).ok()?;
        let kind = proto::ErrorKind::try_from(detail.kind)
            .ok()
            .and_then(ErrorKind::from_proto)?;
        Some(Detail {
            kind,
            subject: detail.subject,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_wire_and_unknown_ones_are_no_kind() {
        for &kind in ErrorKind::ALL {
            let detail = Detail {
                kind,
                subject: "resize".to_owned(),
            };
            assert_eq!(Detail::decode(&detail.encode()), Some(detail));
        }
        let unknown = proto::ErrorDetail {
            kind: 9_999,
            subject: String::new(),
        };
        assert_eq!(Detail::decode(&unknown.encode_to_vec()), None);
        assert_eq!(Detail::decode(b""), None);
        assert_eq!(Detail::decode(b"\xff\xff"), None);
    }
}
