//! Why the store did not do what it was asked to. Reads after "failed to".

use std::error::Error;

use thiserror::Error;

use super::values::Revision;
use crate::base::atomic_file::FileError;
use crate::base::sqlite::SqliteError;
use crate::model::ids::{AgentId, Digest, FunctionName};

/// See the module's text. Absence is none of these, except where a change needs what is absent.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store cannot be read or written now; nothing is known about what was asked for.
    #[error("use the store")]
    Unavailable {
        /// The file or the server, what was tried there, and the system's reason.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It can be read, and there is no room for a write.
    #[error("write to the store: it is full")]
    Full {
        /// Where there is no room.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Somebody else has written the agent, or deleted it, in between.
    #[error(
        "write agent {agent}: it is at {}, not at {}",
        revision_text(*found),
        revision_text(*expected)
    )]
    Conflict {
        /// The agent.
        agent: AgentId,
        /// What the writer had seen; `None` for "does not exist".
        expected: Option<Revision>,
        /// What is there.
        found: Option<Revision>,
    },
    /// A version needs a function.
    #[error("change function {function}: there is none of that name")]
    FunctionNotFound {
        /// The name.
        function: FunctionName,
    },
    /// It never was, or is too old to be kept.
    #[error("activate version {number} of function {function}: it is not kept")]
    VersionNotKept {
        /// The name.
        function: FunctionName,
        /// The version.
        number: u64,
    },
    /// A version needs its archive.
    #[error("use archive {digest}: it is not stored")]
    ArchiveMissing {
        /// The archive.
        digest: Digest,
    },
    /// What was uploaded is not what was announced.
    #[error("store archive {expected}: the uploaded one is {found}")]
    ArchiveMismatch {
        /// As announced.
        expected: Digest,
        /// As received.
        found: Digest,
    },
    /// A bound of the store itself.
    #[error("store more {what} than {limit}")]
    LimitReached {
        /// Plural.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// One entry cannot be read back; the others can.
    #[error("read {what} {key:?} from the store: {detail}")]
    Corrupt {
        /// `function`, `agent` and so on.
        what: &'static str,
        /// Which one.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
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
