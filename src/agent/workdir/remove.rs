//! Removing a tree that a hostile user owns.
//!
//! Refuses: paths of more than one part, and following links: every step is relative to a
//! descriptor of a directory that was opened with `O_NOFOLLOW`, so a link is only ever unlinked.
//! Invariants: uses two directories at once however deep the tree is, because a directory found
//! inside another is first moved up to the root of the tree; every step removes or moves one
//! entry, and the budget bounds the steps.

use std::ffi::{CStr, CString};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// How many directory entries may be handled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget(u64);

impl Budget {
    pub(super) const fn entries(entries: u64) -> Budget {
        Budget(entries)
    }

    fn spend(&mut self) -> Result<(), Errno> {
        self.0 = self.0.checked_sub(1).ok_or(Errno::E2BIG)?;
        Ok(())
    }
}

/// Removes `name` in `parent`, whatever it is; one that is not there is removed already.
///
/// # Errors
/// The system's reason; `E2BIG` when the budget is spent. What was removed until then is gone.
pub(super) fn remove_tree(
    parent: BorrowedFd<'_>,
    name: &CStr,
    mut budget: Budget,
) -> io::Result<()> {
    if !is_full_directory(parent, name, None)? {
        return Ok(());
    }
    let mut root = open_directory(parent, name)?;
    let mut moved = 0;
    let mut may_be_closed = true;
    loop {
        match empty_once(&mut root, &mut moved, &mut budget) {
            Ok(()) => {}
            // The function has taken the owner's rights from its directory; root does not mind.
            Err(Errno::EACCES) if may_be_closed => {
                may_be_closed = false;
                fchmod(&root, Mode::S_IRWXU)?;
            }
            Err(errno) => return Err(errno.into()),
        }
        match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            // Not everything was listed: once more.
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => budget.spend()?,
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// One pass over the tree's root. Entries that are moved into the root while it is read may or
/// may not be seen by this pass (readdir(3)): the next sees them.
fn empty_once(root: &mut Dir, moved: &mut u64, budget: &mut Budget) -> Result<(), Errno> {
    let root_fd = root
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| as_errno(&error))?;
    for entry in root.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if is_dots(name) {
            continue;
        }
        budget.spend()?;
        if is_full_directory(root_fd.as_fd(), name, entry.file_type())? {
            flatten(&root_fd, name, moved, budget)?;
        }
    }
    Ok(())
}

/// Empties the directory `name` in the root, by moving the directories in it up beside it.
fn flatten(root: &OwnedFd, name: &CStr, moved: &mut u64, budget: &mut Budget) -> Result<(), Errno> {
    let mut directory = open_directory(root.as_fd(), name)?;
    // For an agent without root's rights, whose functions run as the same user.
    fchmod(&directory, Mode::S_IRWXU)?;
    let fd = directory
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| as_errno(&error))?;
    for entry in directory.iter() {
        let entry = entry?;
        let inner = entry.file_name();
        if is_dots(inner) {
            continue;
        }
        budget.spend()?;
        if is_full_directory(fd.as_fd(), inner, entry.file_type())? {
            move_up(&fd, inner, root, moved, budget)?;
        }
    }
    match unlinkat(root, name, UnlinkatFlags::RemoveDir) {
        // Something was not listed: the next pass finds it.
        Ok(()) | Err(Errno::ENOTEMPTY | Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn move_up(
    from: &OwnedFd,
    name: &CStr,
    root: &OwnedFd,
    moved: &mut u64,
    budget: &mut Budget,
) -> Result<(), Errno> {
    loop {
        *moved += 1;
        let target = CString::new(format!(".removing-{moved}")).map_err(|_| Errno::EINVAL)?;
        match renameat(from, name, root, target.as_c_str()) {
            Ok(()) => return Ok(()),
            // The function has made one of that name.
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => budget.spend()?,
            // Moving a directory changes its `..`, which takes the right to write to it.
            Err(Errno::EACCES) => {
                budget.spend()?;
                make_accessible(from.as_fd(), name)?;
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// Removes `name` if one call can; otherwise it is a directory with something in it.
fn is_full_directory(
    parent: BorrowedFd<'_>,
    name: &CStr,
    kind: Option<Type>,
) -> Result<bool, Errno> {
    let directory_first = matches!(kind, None | Some(Type::Directory));
    let order = if directory_first {
        [UnlinkatFlags::RemoveDir, UnlinkatFlags::NoRemoveDir]
    } else {
        [UnlinkatFlags::NoRemoveDir, UnlinkatFlags::RemoveDir]
    };
    for flag in order {
        match unlinkat(parent, name, flag) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(false),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => return Ok(true),
            // It is of the other kind.
            Err(Errno::ENOTDIR | Errno::EISDIR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::ENOTDIR)
}

/// Opens a directory for listing, also one that its owner has made unreadable.
fn open_directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<Dir, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::EACCES) => {
            make_accessible(parent, name)?;
            openat(parent, name, flags, Mode::empty())?
        }
        opened => opened?,
    };
    Dir::from_fd(fd)
}

/// Gives a directory mode 0700 that cannot be opened. A descriptor made with `O_PATH` needs no
/// right to the directory itself; fchmod(2) refuses it, its name in /proc does not (open(2)).
fn make_accessible(parent: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = openat(parent, name, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|error| as_errno(&error))
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

fn as_errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_takes_a_directorys_place_at_the_last_moment_is_not_opened() {
        let outer = tempfile::tempdir().expect("tempdir");
        let outside = tempfile::tempdir().expect("tempdir");
        fs::set_permissions(outside.path(), Permissions::from_mode(0o750)).expect("chmod");
        symlink(outside.path(), outer.path().join("link")).expect("link");
        let parent = fs::File::open(outer.path()).expect("open");
        let errors = [
            open_directory(parent.as_fd(), c"link").map(drop),
            make_accessible(parent.as_fd(), c"link"),
        ];
        for error in errors {
            // ELOOP or ENOTDIR: with O_DIRECTORY the kernel may say either (open(2)).
            assert!(
                matches!(error, Err(Errno::ELOOP | Errno::ENOTDIR)),
                "{error:?}"
            );
        }
        let mode = fs::metadata(outside.path())
            .expect("stat")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o750);
    }
}
