//! Goes through a directory that somebody else changes meanwhile, one entry a step.
//!
//! Refuses: links and mounts; every directory is opened relative to the descriptor of the one above it.
//! Invariants: at most [`OPEN_MOST`] + 3 descriptors, no recursion, and a few system calls a step, however deep the
//! tree is; what vanishes or moves on the way is passed over.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::dir::{Dir, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::super::limit::Excess;
use super::tally::{DEPTH_MOST, Inode, Tally};

/// Levels, from the root on, that stay open until all below them is visited. A tree that is not deeper opens none
/// twice.
const OPEN_MOST: usize = 32;

/// Where it is.
pub(super) struct Walk {
    /// From the root to the current directory, which is open, too.
    levels: Vec<Level>,
    /// The current directory's entries, until all are counted; only then the ones in it are opened.
    reading: Option<OwningIter>,
}

struct Level {
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
    /// Begins at `root`, which counts.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(super) fn new(root: &Path, tally: &mut Tally) -> Result<Walk, Errno> {
        let mut walk = Walk {
            levels: Vec::new(),
            reading: None,
        };
        let fd = open(root, DIRECTORY, Mode::empty())?;
        tally.add_root(&fstat(&fd)?);
        walk.enter(fd)?;
        Ok(walk)
    }

    /// # Errors
    /// That there is too much; the walk is then over.
    pub(super) fn step(&mut self, tally: &mut Tally) -> Result<Progress, Excess> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(Progress::Done);
        };
        match &mut self.reading {
            Some(reading) => match reading.next() {
                Some(Ok(entry)) => level.count(entry.file_name(), tally)?,
                // What cannot be read of a directory is passed over, as one that cannot be opened.
                Some(Err(_)) | None => self.reading = None,
            },
            None => match level.unvisited.pop() {
                Some(name) => self.descend(&name)?,
                None => self.ascend(),
            },
        }
        Ok(Progress::More)
    }

    fn descend(&mut self, name: &CStr) -> Result<(), Excess> {
        let depth = self.levels.len();
        if depth > DEPTH_MOST {
            return Err(Excess::Depth { limit: DEPTH_MOST });
        }
        let Some(fd) = self.levels.last().and_then(|level| level.fd.as_ref()) else {
            return Ok(());
        };
        // Gone, moved, closed to us, a mount, or a link now.
        let Ok(fd) = open_below(fd.as_fd(), name) else {
            return Ok(());
        };
        if self.enter(fd).is_ok() && depth > OPEN_MOST {
            self.levels[depth - 1].fd = None;
        }
        Ok(())
    }

    fn enter(&mut self, fd: OwnedFd) -> Result<(), Errno> {
        let inode = Inode::of(&fstat(&fd)?);
        // With a descriptor of its own, which goes with it.
        let listing = Dir::openat(&fd, c".", DIRECTORY, Mode::empty())?;
        self.reading = Some(listing.into_iter());
        self.levels.push(Level {
            inode,
            fd: Some(fd),
            unvisited: Vec::new(),
        });
        Ok(())
    }

    /// To the level above. One that was closed is opened anew from here. Where that is another directory by now,
    /// this one was moved: then all that is not open any more is given up.
    fn ascend(&mut self) {
        let left = self.levels.pop().and_then(|level| level.fd);
        let Some(level) = self.levels.last_mut().filter(|level| level.fd.is_none()) else {
            return;
        };
        level.fd = left
            .and_then(|left| openat(left, c"..", DIRECTORY, Mode::empty()).ok())
            .filter(|fd| fstat(fd).is_ok_and(|stat| Inode::of(&stat) == level.inode));
        if level.fd.is_none() {
            self.levels.truncate(OPEN_MOST);
        }
    }
}

impl Level {
    fn count(&mut self, name: &CStr, tally: &mut Tally) -> Result<(), Excess> {
        let Some(fd) = self.fd.as_ref().filter(|_| !is_dots(name)) else {
            return Ok(());
        };
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT;
        // Gone since it was listed.
        let Ok(stat) = fstatat(fd, name, flags) else {
            return Ok(());
        };
        if is_directory(&stat) {
            self.unvisited.push(name.to_owned());
        }
        tally.add_entry(&stat)
    }
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

fn open_below(above: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    // Stays below, and on this mount also where another is of the same file system.
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    match openat2(
        above,
        name,
        OpenHow::new().flags(DIRECTORY).resolve(resolve),
    ) {
        // Before Linux 5.6, or behind a filter of an older container runtime.
        Err(Errno::ENOSYS | Errno::EPERM) => openat(above, name, DIRECTORY, Mode::empty()),
        opened => opened,
    }
}

fn is_directory(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests;
