//! Archives on their way in and out: files that are hashed while they are written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use openssl::sha::Sha256;
use tempfile::NamedTempFile;

use crate::base::atomic_file::FileError;
use crate::model::ids::Digest;

/// An archive that is being received: write it, then hand it to
/// [`Store::put_archive`](super::ArchiveStore::put_archive). Dropped without that, it is gone.
///
/// Its size is for the caller to bound: he knows the limit of the request.
pub struct ArchiveUpload {
    file: NamedTempFile,
    hash: Sha256,
    size_bytes: u64,
}

impl std::fmt::Debug for ArchiveUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveUpload").finish_non_exhaustive()
    }
}

impl ArchiveUpload {
    /// An empty upload in `directory`, its name starting with `prefix`; readable by its owner
    /// alone.
    pub(super) fn create(directory: &Path, prefix: &str) -> Result<ArchiveUpload, FileError> {
        let file = tempfile::Builder::new()
            .prefix(prefix)
            .tempfile_in(directory)
            .map_err(FileError::at("create an upload in", directory))?;
        Ok(ArchiveUpload {
            file,
            hash: Sha256::new(),
            size_bytes: 0,
        })
    }

    /// Bytes written so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Reads what has been written, from its beginning: an archive is looked at before it is
    /// stored.
    ///
    /// # Errors
    /// The system's reason.
    pub fn reader(&self) -> io::Result<ArchiveReader> {
        ArchiveReader::new(self.file.reopen()?)
    }

    pub(super) fn into_parts(self) -> (NamedTempFile, StoredArchive) {
        let archive = StoredArchive {
            digest: Digest::from_sha256(self.hash.finish()),
            size_bytes: self.size_bytes,
        };
        (self.file, archive)
    }
}

impl Write for ArchiveUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What an archive is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredArchive {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// How many they are.
    pub size_bytes: u64,
}

/// A stored archive, open. It stays readable when the archive is deleted meanwhile.
#[derive(Debug)]
pub struct ArchiveReader {
    file: File,
    len: u64,
}

impl ArchiveReader {
    pub(super) fn new(file: File) -> io::Result<ArchiveReader> {
        let len = file.metadata()?.len();
        Ok(ArchiveReader { file, len })
    }

    /// Bytes in all.
    pub fn len(&self) -> u64 {
        self.len
    }
}

impl Read for ArchiveReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for ArchiveReader {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}
