//! Goes through a directory that somebody else changes meanwhile, a slice at a time.
//!
//! Refuses: links and mounts; every directory is opened relative to the descriptor of the one
//! above it. Invariants: at most [`OPEN_MOST`] + 2 descriptors and no recursion, however deep the
//! tree is; a step handles one entry, except where a directory that was closed is opened anew,
//! which takes one call for each level; what vanishes or moves on the way is passed over.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::dir::{Dir, Entry, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::super::limit::Excess;
use super::tally::{DEPTH_MOST, Inode, Tally};

/// Directories above the current one that stay open. A tree that is not deeper opens none twice.
const OPEN_MOST: usize = 32;

/// Where it is.
pub(super) struct Walk {
    /// From the root to the current directory. The first has its descriptor always.
    levels: Vec<Level>,
    /// The current directory's entries, until all are counted; only then the ones in it are opened.
    reading: Option<OwningIter>,
}

struct Level {
    /// In the level above.
    name: CString,
    inode: Inode,
    fd: Option<OwnedFd>,
    /// Directories in it that are not visited yet.
    unvisited: Vec<CString>,
}

/// Whether there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Done,
}

impl Walk {
    /// Begins at `root`.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(super) fn new(root: OwnedFd, stat: &FileStat) -> Result<Walk, Errno> {
        let reading = listing(root.as_fd())?;
        let level = Level {
            name: CString::default(),
            inode: Inode::of(stat),
            fd: Some(root),
            unvisited: Vec::new(),
        };
        Ok(Walk {
            levels: vec![level],
            reading: Some(reading),
        })
    }

    /// # Errors
    /// That there is too much; the walk is then over.
    pub(super) fn step(&mut self, tally: &mut Tally) -> Result<Progress, Excess> {
        if let Some(reading) = &mut self.reading {
            match reading.next() {
                Some(Ok(entry)) => self.count(&entry, tally)?,
                // What cannot be read of a directory is passed over, as one that cannot be opened.
                Some(Err(_)) | None => self.reading = None,
            }
            return Ok(Progress::More);
        }
        let Some(level) = self.levels.last_mut() else {
            return Ok(Progress::Done);
        };
        match level.unvisited.pop() {
            Some(name) => self.descend(name)?,
            None => {
                self.levels.pop();
            }
        }
        Ok(Progress::More)
    }

    fn count(&mut self, entry: &Entry, tally: &mut Tally) -> Result<(), Excess> {
        let name = entry.file_name();
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        let Some(fd) = level.fd.as_ref().filter(|_| !is_dots(name)) else {
            return Ok(());
        };
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT;
        // Gone since it was listed.
        let Ok(stat) = fstatat(fd, name, flags) else {
            return Ok(());
        };
        if is_directory(&stat) {
            level.unvisited.push(name.to_owned());
        }
        tally.add_entry(&stat)
    }

    fn descend(&mut self, name: CString) -> Result<(), Excess> {
        if self.levels.len() > DEPTH_MOST {
            return Err(Excess::Depth { limit: DEPTH_MOST });
        }
        if !self.reopen() {
            return Ok(());
        }
        let Some(above) = self.levels.last().and_then(|level| level.fd.as_ref()) else {
            return Ok(());
        };
        // Gone, moved, closed to us, a mount, or a link now.
        let Ok(fd) = open_below(above.as_fd(), &name) else {
            return Ok(());
        };
        let (Ok(stat), Ok(reading)) = (fstat(&fd), listing(fd.as_fd())) else {
            return Ok(());
        };
        self.reading = Some(reading);
        self.levels.push(Level {
            name,
            inode: Inode::of(&stat),
            fd: Some(fd),
            unvisited: Vec::new(),
        });
        self.close_beyond();
        Ok(())
    }

    /// Opens the current level, if it was closed, from the root on. Where a directory on the way is
    /// not what it was, somebody has moved it: `false`, and it and those below are given up.
    fn reopen(&mut self) -> bool {
        if self.levels.last().is_some_and(|level| level.fd.is_some()) {
            return true;
        }
        for index in 1..self.levels.len() {
            if !self.open_level(index) {
                self.levels.truncate(index);
                return false;
            }
            self.close_at(index.saturating_sub(OPEN_MOST));
        }
        true
    }

    /// The level above it is open.
    fn open_level(&mut self, index: usize) -> bool {
        let (above, rest) = self.levels.split_at_mut(index);
        let (Some(above), Some(level)) = (above.last(), rest.first_mut()) else {
            return false;
        };
        if level.fd.is_none() {
            level.fd = above
                .fd
                .as_ref()
                .and_then(|fd| open_below(fd.as_fd(), &level.name).ok())
                .filter(|fd| fstat(fd).is_ok_and(|stat| Inode::of(&stat) == level.inode));
        }
        level.fd.is_some()
    }

    fn close_beyond(&mut self) {
        self.close_at((self.levels.len() - 1).saturating_sub(OPEN_MOST));
    }

    /// Never the root, from which all others are found again.
    fn close_at(&mut self, index: usize) {
        if index > 0 {
            self.levels[index].fd = None;
        }
    }
}

fn open_below(above: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    // Stays below, and on this mount also where another is of the same file system.
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    match openat2(above, name, OpenHow::new().flags(flags).resolve(resolve)) {
        // Before Linux 5.6, or behind a filter of an older container runtime.
        Err(Errno::ENOSYS | Errno::EPERM) => openat(above, name, flags, Mode::empty()),
        opened => opened,
    }
}

/// With a descriptor of its own, which goes with it.
fn listing(directory: BorrowedFd<'_>) -> Result<OwningIter, Errno> {
    let own = directory
        .try_clone_to_owned()
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    Ok(Dir::from_fd(own)?.into_iter())
}

fn is_directory(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests;
