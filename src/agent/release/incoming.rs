//! An archive that arrives in pieces.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;

use openssl::sha::Sha256;

use super::error::ReleaseError;
use crate::model::ids::Digest;

/// Collects the pieces in a file without a name: however this ends, nothing is left of it.
pub(crate) struct Incoming {
    file: File,
    hasher: Sha256,
    bytes: u64,
    limit: u64,
}

impl Incoming {
    /// Called through [`super::Releases::receive`].
    pub(super) fn create(directory: &Path, limit: u64) -> Result<Incoming, ReleaseError> {
        let file = tempfile::tempfile_in(directory).map_err(store)?;
        Ok(Incoming {
            file,
            hasher: Sha256::new(),
            bytes: 0,
            limit,
        })
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// [`ReleaseError::TooLarge`] once there is more than an archive may have,
    /// [`ReleaseError::Transfer`] when the disk refuses.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), ReleaseError> {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        if self.bytes > self.limit {
            return Err(ReleaseError::TooLarge { limit: self.limit });
        }
        self.hasher.update(piece);
        self.file.write_all(piece).map_err(store)
    }

    /// The whole archive, positioned at its start, ready for [`super::Releases::install`].
    ///
    /// # Errors
    /// [`ReleaseError::Size`] or [`ReleaseError::Digest`] when it is not what was announced.
    pub(crate) fn finish(mut self, digest: &Digest, bytes: u64) -> Result<File, ReleaseError> {
        if self.bytes != bytes {
            return Err(ReleaseError::Size {
                expected: bytes,
                found: self.bytes,
            });
        }
        check_digest(self.hasher, digest)?;
        self.file.rewind().map_err(store)?;
        Ok(self.file)
    }
}

/// Compares what was hashed with what was promised.
pub(super) fn check_digest(hasher: Sha256, expected: &Digest) -> Result<(), ReleaseError> {
    let found = Digest::from_sha256(hasher.finish());
    if found == *expected {
        return Ok(());
    }
    Err(ReleaseError::Digest {
        expected: expected.clone(),
        found,
    })
}

fn store(source: std::io::Error) -> ReleaseError {
    ReleaseError::Transfer {
        action: "store",
        source,
    }
}
