//! The directory of archives: each file is whole and named by its digest, or an upload.
//!
//! Invariant: an archive is on disk, name and all, before a version can refer to it; and it is
//! deleted only inside the database's writer, where no reference can appear meanwhile.

use std::fs::{self, DirEntry, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::atomic_file::{FileError, create_directory, sync_directory};
use crate::base::clock::Timestamp;
use crate::base::threads::lock;
use crate::model::ids::Digest;
use crate::store::archives::{ArchiveReader, ArchiveUpload, StoredArchive};
use crate::store::error::StoreError;

const UPLOAD_PREFIX: &str = ".upload-";
const SUFFIX: &str = ".zip";

pub(super) struct ArchiveDirectory {
    path: PathBuf,
    // Held while a file gets its name and while one is deleted after a look at its age: what
    // has just been stored anew must not be taken for what was there before.
    naming: Mutex<()>,
}

impl ArchiveDirectory {
    /// Makes the directory (mode 0700) and deletes the uploads of an earlier process.
    pub(crate) fn open(path: PathBuf) -> Result<ArchiveDirectory, FileError> {
        create_directory(&path, 0o700)?;
        let directory = ArchiveDirectory {
            path,
            naming: Mutex::new(()),
        };
        for entry in directory.entries()? {
            if is_upload(&entry) {
                remove(&entry.path())?;
            }
        }
        Ok(directory)
    }

    pub(crate) fn scratch(&self) -> Result<ArchiveUpload, FileError> {
        ArchiveUpload::create(&self.path, UPLOAD_PREFIX)
    }

    pub(crate) fn put(
        &self,
        upload: ArchiveUpload,
        expected: Option<&Digest>,
    ) -> Result<StoredArchive, StoreError> {
        let (file, archive) = upload.into_parts();
        if let Some(expected) = expected
            && *expected != archive.digest
        {
            return Err(StoreError::ArchiveMismatch {
                expected: expected.clone(),
                found: archive.digest,
            });
        }
        let path = self.path_of(&archive.digest);
        // Its age counts from now, not from its last byte.
        file.as_file()
            .set_modified(SystemTime::now())
            .and_then(|()| file.as_file().sync_all())
            .map_err(FileError::at("write", file.path()))?;
        let named = lock(&self.naming);
        file.persist(&path)
            .map_err(|error| FileError::at("rename to", &path)(error.error))?;
        drop(named);
        sync_directory(&self.path)?;
        Ok(archive)
    }

    pub(crate) fn open_archive(&self, digest: &Digest) -> Result<Option<ArchiveReader>, FileError> {
        let path = self.path_of(digest);
        match File::open(&path).and_then(ArchiveReader::new) {
            Ok(reader) => Ok(Some(reader)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::at("open", &path)(error)),
        }
    }

    pub(crate) fn contains(&self, digest: &Digest) -> Result<bool, FileError> {
        let path = self.path_of(digest);
        path.try_exists().map_err(FileError::at("look for", &path))
    }

    /// Archives stored before `older_than`.
    pub(crate) fn older_archives(&self, older_than: Timestamp) -> Result<Vec<Digest>, FileError> {
        let mut digests = Vec::new();
        for entry in self.entries()? {
            if let Some(digest) = digest_of(&entry)
                && is_older(&entry.path(), older_than)?
            {
                digests.push(digest);
            }
        }
        Ok(digests)
    }

    /// Deletes the archive if it still is older; whether it was there and was.
    pub(crate) fn remove_older(
        &self,
        digest: &Digest,
        older_than: Timestamp,
    ) -> Result<bool, FileError> {
        let path = self.path_of(digest);
        let _unnamed = lock(&self.naming);
        Ok(is_older(&path, older_than)? && remove(&path)?)
    }

    /// Deletes uploads that nobody has written to since `older_than`; how many.
    pub(crate) fn remove_older_uploads(&self, older_than: Timestamp) -> Result<usize, FileError> {
        let mut removed = 0;
        for entry in self.entries()? {
            let path = entry.path();
            if is_upload(&entry) && is_older(&path, older_than)? && remove(&path)? {
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn path_of(&self, digest: &Digest) -> PathBuf {
        self.path.join(format!("{digest}{SUFFIX}"))
    }

    fn entries(&self) -> Result<Vec<DirEntry>, FileError> {
        fs::read_dir(&self.path)
            .and_then(Iterator::collect)
            .map_err(FileError::at("list", &self.path))
    }
}

fn is_upload(entry: &DirEntry) -> bool {
    entry
        .file_name()
        .to_str()
        .is_some_and(|name| name.starts_with(UPLOAD_PREFIX))
}

fn digest_of(entry: &DirEntry) -> Option<Digest> {
    let name = entry.file_name();
    Digest::new(name.to_str()?.strip_suffix(SUFFIX)?).ok()
}

/// False for a file that is gone.
fn is_older(path: &Path, than: Timestamp) -> Result<bool, FileError> {
    match fs::metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(modified) => {
            let age = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok(Timestamp::from_millis(0).after(age) < than)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::at("look at", path)(error)),
    }
}

/// False when somebody else was faster.
fn remove(path: &Path) -> Result<bool, FileError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::at("delete", path)(error)),
    }
}
