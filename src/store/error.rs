//! Why the store did not do what it was asked to.

use std::error::Error;

use thiserror::Error;

use super::values::Revision;
use crate::base::atomic_file::FileError;
use crate::base::sqlite::SqliteError;
use crate::model::ids::{AgentId, Digest, FunctionName};
use crate::stored::corrupt::Corrupt;

/// Why the store did not do what it was asked. Absence is none of these, except where a change needs what is absent.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store cannot be read or written now; nothing is known about what was asked for.
    #[error("the store cannot be used")]
    Unavailable {
        /// The file or the server, what was tried there, and the system's reason.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It can be read, and there is no room for a write.
    #[error("the store is full")]
    Full {
        /// Where there is no room.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Somebody else has written the agent, or deleted it, in between.
    #[error(
        "agent {agent} was changed by somebody else: it is at {}, not at {}",
        revision_text(*found),
        revision_text(*expected)
    )]
    Conflict {
        /// Whose entry was to be changed.
        agent: AgentId,
        /// What the writer had seen; `None` for "does not exist".
        expected: Option<Revision>,
        /// The entry's revision; absent when there is no entry.
        found: Option<Revision>,
    },
    /// A version needs a function.
    #[error("no function {function} is stored")]
    FunctionNotFound {
        /// The name that was asked for.
        function: FunctionName,
    },
    /// It never was, or is too old to be kept.
    #[error("version {number} of function {function} is not kept")]
    VersionNotKept {
        /// The name that was asked for.
        function: FunctionName,
        /// The version that was asked for.
        number: u64,
    },
    /// A version needs its archive.
    #[error("archive {digest} is not stored")]
    ArchiveMissing {
        /// The archive's digest, which it is stored under.
        digest: Digest,
    },
    /// What was uploaded is not what was announced.
    #[error("the uploaded archive is {found}, not {expected} as announced")]
    ArchiveMismatch {
        /// As announced.
        expected: Digest,
        /// As received.
        found: Digest,
    },
    /// A bound of the store itself.
    #[error("the store holds {limit} {what} already, which is as many as it may")]
    LimitReached {
        /// Plural.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// One entry cannot be read back; the others can.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl From<SqliteError> for StoreError {
    fn from(error: SqliteError) -> StoreError {
        match error {
            SqliteError::Full { .. } => StoreError::Full {
                source: error.into(),
            },
            SqliteError::NotOurs { .. }
            | SqliteError::NewerFormat { .. }
            | SqliteError::Damaged { .. }
            | SqliteError::Failed { .. }
            | SqliteError::File(_) => StoreError::Unavailable {
                source: error.into(),
            },
        }
    }
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> StoreError {
        use std::io::ErrorKind;
        let source = error.source.kind();
        match source {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full {
                source: error.into(),
            },
            _ => StoreError::Unavailable {
                source: error.into(),
            },
        }
    }
}

fn revision_text(revision: Option<Revision>) -> String {
    revision.map_or("no revision".to_owned(), |revision| {
        format!("revision {revision}")
    })
}
