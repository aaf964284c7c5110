//! What can go wrong with a release.

use std::io;

use thiserror::Error;

use crate::archive::ArchiveError;
use crate::base::atomic_file::FileError;
use crate::model::ids::Digest;

/// Why a release could not be received, installed or removed.
#[derive(Debug, Error)]
pub enum ReleaseError {
    /// The archive is not the one that was meant.
    #[error("the archive's digest is {found}, expected {expected}")]
    Digest {
        /// What the caller promised.
        expected: Digest,
        /// What the bytes give.
        found: Digest,
    },
    /// The archive came in another length than announced.
    #[error("the archive has {found} bytes, expected {expected}")]
    Size {
        /// What the caller announced.
        expected: u64,
        found: u64,
    },
    /// More came than an archive may have.
    #[error("the archive is longer than the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Another archive with the same first digits and version is installed.
    #[error("version {version} is installed with digest {found}, expected {expected}")]
    Conflict {
        /// The version in question.
        version: u64,
        /// What the caller promised.
        expected: Digest,
        found: Digest,
    },
    /// The archive is refused, or could not be extracted.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The archive could not be read, or not be kept.
    #[error("cannot {action} the archive")]
    Transfer {
        /// `read` or `store`.
        action: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file or directory of ours.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ReleaseError {
    /// Whether the archive is at fault, and not this machine.
    pub(crate) const fn is_refusal(&self) -> bool {
        match self {
            ReleaseError::Digest { .. }
            | ReleaseError::Size { .. }
            | ReleaseError::TooLarge { .. }
            | ReleaseError::Conflict { .. } => true,
            ReleaseError::Archive(error) => error.is_refusal(),
            ReleaseError::Transfer { .. } | ReleaseError::File(_) => false,
        }
    }
}
