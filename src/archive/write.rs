//! Files and directories below one fresh directory, made without following anything.
//!
//! Every step is an `openat`, `mkdirat` or `fchmod` relative to a descriptor, with `O_NOFOLLOW`
//! and, for files, `O_EXCL`: even if a path check above were wrong, nothing that exists could be
//! opened, and nothing outside be reached.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, mkdirat};

use super::error::ArchiveError;

/// The mode of directories, whatever the archive says: readable to the user that functions run as,
/// writable to the agent alone.
const DIRECTORY_MODE: Mode = Mode::from_bits_truncate(0o755);
/// The mode of files that cannot be executed. Bits for set-user-id, set-group-id and sticky never pass.
const FILE_MODE: Mode = Mode::from_bits_truncate(0o644);
/// The mode of files that can be executed.
const EXECUTABLE_MODE: Mode = Mode::from_bits_truncate(0o755);
/// Until a file is complete, nobody else has a use for it.
const INITIAL_FILE_MODE: Mode = Mode::from_bits_truncate(0o600);

/// The directory below which all happens.
#[derive(Debug)]
pub(super) struct TargetTree {
    path: PathBuf,
    root: OwnedFd,
    /// The directory that was used last, because archives list neighbours together.
    last: Option<(String, OwnedFd)>,
}

impl TargetTree {
    /// Creates the directory; it must not exist.
    pub(super) fn create(path: &Path) -> Result<TargetTree, ArchiveError> {
        std::fs::create_dir(path).map_err(at("create", path))?;
        let root = open(path, directory_flags(), Mode::empty())
            .and_then(|root| fchmod(&root, DIRECTORY_MODE).map(|()| root))
            .map_err(errno_at("open", path))?;
        Ok(TargetTree {
            path: path.to_owned(),
            root,
            last: None,
        })
    }

    /// Creates a directory and those above it, unless they are there.
    pub(super) fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.open_directory(path).map(drop)
    }

    /// Creates an empty file and the directories above it.
    pub(super) fn file(&mut self, path: &str) -> Result<TargetFile, ArchiveError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let full_path = self.path.join(path);
        let created = openat(self.open_directory(parent)?, name, flags, INITIAL_FILE_MODE);
        Ok(TargetFile {
            file: created.map_err(errno_at("create", &full_path))?.into(),
            path: full_path,
        })
    }

    fn open_directory(&mut self, path: &str) -> Result<&OwnedFd, ArchiveError> {
        if path.is_empty() {
            return Ok(&self.root);
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let fd = walk(&self.root, path).map_err(errno_at("create", &self.path.join(path)))?;
            self.last = Some((path.to_owned(), fd));
        }
        Ok(self.last.as_ref().map_or(&self.root, |(_, fd)| fd))
    }
}

/// A file being filled.
#[derive(Debug)]
pub(super) struct TargetFile {
    file: File,
    path: PathBuf,
}

impl TargetFile {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        io::Write::write_all(&mut self.file, bytes).map_err(at("write", &self.path))
    }

    /// Gives the complete file its permissions.
    pub(super) fn finish(self, executable: bool) -> Result<(), ArchiveError> {
        let mode = if executable {
            EXECUTABLE_MODE
        } else {
            FILE_MODE
        };
        // fchmod and not the mode of openat: that one is subject to the umask.
        fchmod(self.file.as_fd(), mode).map_err(errno_at("set the permissions of", &self.path))
    }
}

fn walk(root: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    let mut current: Option<OwnedFd> = None;
    for part in path.split('/') {
        let parent = current.as_ref().unwrap_or(root);
        let is_new = match mkdirat(parent, part, DIRECTORY_MODE) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(errno),
        };
        let next = openat(parent, part, directory_flags(), Mode::empty())?;
        if is_new {
            fchmod(&next, DIRECTORY_MODE)?;
        }
        current = Some(next);
    }
    current.ok_or(Errno::ENOENT)
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ArchiveError + 'a {
    move |source| ArchiveError::Write {
        action,
        path: path.to_owned(),
        source,
    }
}

fn errno_at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(Errno) -> ArchiveError + 'a {
    move |errno| at(action, path)(errno.into())
}
