//! What a store does with archives.

use crate::base::clock::Timestamp;
use crate::model::ids::Digest;
use crate::store::archives::{ArchiveReader, ArchiveUpload, StoredArchive};
use crate::store::error::StoreError;

/// Archives, by their digest.
///
/// # Errors
/// Those of every method of [`super::Store`].
pub trait ArchiveStore: Send + Sync {
    /// A place to receive an archive in.
    fn archive_scratch(&self) -> Result<ArchiveUpload, StoreError>;

    /// Stores a received archive under its digest. One that is there already is replaced by its
    /// equal, which makes it young again for [`ArchiveStore::collect_archives`].
    ///
    /// # Errors
    /// [`StoreError::ArchiveMismatch`] when it is not the `expected` one.
    fn put_archive(
        &self,
        upload: ArchiveUpload,
        expected: Option<&Digest>,
    ) -> Result<StoredArchive, StoreError>;

    /// Opens a stored archive.
    fn open_archive(&self, digest: &Digest) -> Result<Option<ArchiveReader>, StoreError>;

    /// Deletes archives that no version refers to and that were stored before `older_than`, and
    /// what unfinished uploads from before then have left; how many files that were. The
    /// difference to now is the time an upload has to become a version.
    fn collect_archives(&self, older_than: Timestamp) -> Result<usize, StoreError>;
}
