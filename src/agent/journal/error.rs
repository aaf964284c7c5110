//! Why the journal did not do what it was asked to.

use thiserror::Error;

use crate::base::sqlite::{Failure, SqliteError};
use crate::model::ids::ExecutionId;
use crate::stored::corrupt::Corrupt;
pub(super) use crate::stored::corrupt::corrupt;

/// Why the journal did not take or give an entry.
#[derive(Debug, Error)]
pub enum JournalError {
    /// An execution of that id is recorded: it must not run twice.
    #[error("execution {id} cannot be accepted: it is recorded already")]
    Exists {
        /// The execution that is recorded.
        id: ExecutionId,
    },
    /// The first ending stands.
    #[error("execution {id} cannot end: it has ended already")]
    AlreadyEnded {
        /// The execution that has ended.
        id: ExecutionId,
    },
    /// The record to end with has no ending, or the one to accept has one.
    #[error("execution {id} cannot be recorded: its record is at another stage of its life")]
    WrongStage {
        /// The execution whose record it is.
        id: ExecutionId,
    },
    /// One entry cannot be read back; the others can.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The journal cannot be read or written now; [`SqliteError::Full`] among others.
    #[error("the journal cannot be used")]
    Storage(#[from] SqliteError),
}

impl From<JournalError> for Failure<JournalError> {
    fn from(error: JournalError) -> Failure<JournalError> {
        Failure::Refused(error)
    }
}
