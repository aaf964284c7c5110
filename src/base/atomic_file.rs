//! Files that are there whole or not at all, also after a power cut.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::cancel::Cancel;
use super::platform::{self, set_mode};

/// What could not be done, to which path.
#[derive(Debug, Error)]
#[error("cannot {action} {path}")]
pub struct FileError {
    /// `create`, `write`, `rename` and so on.
    pub action: &'static str,
    /// The path it was about.
    pub path: PathBuf,
    /// The system's reason.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: names the action and the path.
    pub(crate) fn at<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> FileError + 'a {
        move |source| FileError {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Replaces `path` by a file with `contents` and permission bits `mode` (such as `0o600`), which
/// it has from its first moment. Written beside the target, synced, renamed over it, and the
/// directory synced: rename(2) replaces atomically.
///
/// # Errors
/// The step that failed; `path` is then what it was before.
pub fn write(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let directory = parent(path);
    let mut file = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempfile_in(directory)
        .map_err(FileError::at("create a temporary file in", directory))?;
    set_mode(file.as_file(), mode).map_err(FileError::at("set the permissions of", file.path()))?;
    file.write_all(contents)
        .and_then(|()| file.as_file().sync_all())
        .map_err(FileError::at("write", path))?;
    file.persist(path)
        .map_err(|error| FileError::at("rename to", path)(error.error))?;
    sync_directory(directory)
}

/// Makes the entries of `directory` durable: a rename or a creation is on disk only after this.
///
/// # Errors
/// The system's reason.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), FileError> {
    platform::sync_directory(directory).map_err(FileError::at("sync", directory))
}

/// Creates `directory` and its parents; the last one gets permission bits `mode`, also when it
/// was there already.
///
/// # Errors
/// The system's reason, for instance that a part of the path is a file.
pub(crate) fn create_directory(directory: &Path, mode: u32) -> Result<(), FileError> {
    fs::create_dir_all(directory).map_err(FileError::at("create", directory))?;
    File::open(directory)
        .and_then(|opened| set_mode(&opened, mode))
        .map_err(FileError::at("set the permissions of", directory))
}

/// Holds an exclusive lock on `path` while it lives: two daemons on one state directory would
/// undo each other's work.
#[derive(Debug)]
pub(crate) struct LockFile {
    _file: File,
}

impl LockFile {
    /// Takes the lock. The system releases it when the process ends, however it ends, and with it
    /// the children that it was just making: they have its descriptors until they execute a program.
    /// For these this waits, a second at the most.
    ///
    /// # Errors
    /// `WouldBlock` as the source when another process holds it.
    pub(crate) fn acquire(path: &Path) -> Result<LockFile, FileError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(FileError::at("open", path))?;
        lock_within(&file, LINGERING).map_err(|error| {
            let source = match error {
                // In words: the system's own are "operation would block".
                TryLockError::WouldBlock => io::Error::new(
                    io::ErrorKind::WouldBlock,
                    "another process holds it; end that one, or use another directory",
                ),
                TryLockError::Error(source) => source,
            };
            FileError::at("lock", path)(source)
        })?;
        Ok(LockFile { _file: file })
    }
}

/// How long children of a process that was killed may still hold its locks.
const LINGERING: Duration = Duration::from_secs(1);
/// Between two looks; flock(2) itself waits for ever or not at all.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

fn lock_within(file: &File, time: Duration) -> Result<(), TryLockError> {
    let deadline = Instant::now() + time;
    let never = Cancel::never();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                never.wait_timeout(LOOK_AGAIN);
            }
            result => return result,
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_whole_files_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("key.pem");
        write(&path, b"one", 0o600).expect("first");
        write(&path, b"two", 0o600).expect("second");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(fs::read_dir(directory.path()).expect("list").count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("stat").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn an_error_names_the_path_and_keeps_the_target() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("absent").join("key.pem");
        let error = write(&path, b"one", 0o600).expect_err("no such directory");
        assert!(error.to_string().contains("absent"), "{error}");
    }

    #[test]
    fn a_lock_that_lingers_for_a_moment_is_waited_for() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("lock");
        let held = LockFile::acquire(&path).expect("free");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                Cancel::never().wait_timeout(LINGERING / 5);
                drop(held);
            });
            LockFile::acquire(&path).expect("free again");
        });
    }

    #[test]
    fn a_lock_is_exclusive_until_it_is_dropped() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("lock");
        let held = LockFile::acquire(&path).expect("first");
        let error = LockFile::acquire(&path).expect_err("second");
        assert_eq!(error.source.kind(), io::ErrorKind::WouldBlock);
        drop(held);
        LockFile::acquire(&path).expect("after release");
    }
}
