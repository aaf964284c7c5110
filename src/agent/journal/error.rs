//! Why the journal did not do what it was asked to.

use std::fmt::Display;

use thiserror::Error;

use crate::base::sqlite::{Failure, SqliteError};
use crate::model::ids::ExecutionId;

/// Why the journal did not take or give an entry.
#[derive(Debug, Error)]
pub enum JournalError {
    /// An execution of that id is recorded: it must not run twice.
    #[error("execution {id} cannot be accepted: it is recorded already")]
    Exists {
        /// Of the entry that is there.
        id: ExecutionId,
    },
    /// The first ending stands.
    #[error("execution {id} cannot end: it has ended already")]
    AlreadyEnded {
        /// Of the entry that is there.
        id: ExecutionId,
    },
    /// The record to end with has no ending, or the one to accept has one.
    #[error("execution {id} cannot be recorded: its record is at another stage of its life")]
    WrongStage {
        /// Of the entry that is there.
        id: ExecutionId,
    },
    /// One entry cannot be read back; the others can.
    #[error("the journal's {what} {key:?} cannot be read: {detail}")]
    Corrupt {
        /// `execution` or `function`.
        what: &'static str,
        /// The execution's id, or the function's name.
        key: String,
        /// The field that cannot be read, and why.
        detail: String,
    },
    /// The journal cannot be read or written now; [`SqliteError::Full`] among others.
    #[error("the journal cannot be used")]
    Storage(#[from] SqliteError),
}

impl From<JournalError> for Failure<JournalError> {
    fn from(error: JournalError) -> Failure<JournalError> {
        Failure::Refused(error)
    }
}

/// For `map_err`: names the entry that cannot be read back.
pub(super) fn corrupt<D: Display>(
    what: &'static str,
    key: &str,
) -> impl FnOnce(D) -> Failure<JournalError> {
    let key = key.to_owned();
    move |detail| {
        Failure::Refused(JournalError::Corrupt {
            what,
            key,
            detail: detail.to_string(),
        })
    }
}
