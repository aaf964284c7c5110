//! Whether a working directory is as Flux made it: the same names, the same links, nothing in
//! `.tmp`, the same owner, mode and project.
//!
//! Follows nothing that a function may have planted. Not seen: extended attributes, which only a
//! later execution of the same release would find.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{openat, readlinkat};
use nix::sys::stat::{Mode, fstat};

use super::work_dirs::{PRIVATE_MODE, TMP, directory_flags};
use crate::agent::release::Release;
use crate::sandbox::Project;

/// What a working directory has to be as.
pub(super) struct MadeFor<'a> {
    pub release: &'a Release,
    pub owner: Option<(u32, u32)>,
    pub project: Option<&'a Project>,
}

/// See the module's text; `name` is the working directory's in `root`.
///
/// # Errors
/// The system's reason for not letting us look.
pub(super) fn is_pristine(
    root: BorrowedFd<'_>,
    name: &str,
    made_for: &MadeFor<'_>,
) -> Result<bool, Errno> {
    let release = made_for.release;
    let Some(mut directory) = open_unchanged(root, name, made_for)? else {
        return Ok(false);
    };
    let fd = directory
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    let mut links = 0;
    for entry in directory.iter() {
        let entry = entry?;
        let bytes = entry.file_name().to_bytes();
        if matches!(bytes, b"." | b"..") {
            continue;
        }
        let name = OsStr::from_bytes(bytes);
        let is_ours = if name == OsStr::new(TMP) {
            is_empty(fd.as_fd(), made_for)?
        } else {
            links += 1;
            is_link_to_release(fd.as_fd(), name, release)
        };
        if !is_ours {
            return Ok(false);
        }
    }
    let expected = release.top_level.iter().filter(|&name| name != TMP).count();
    Ok(links == expected)
}

fn is_link_to_release(directory: BorrowedFd<'_>, name: &OsStr, release: &Release) -> bool {
    // A name that the release does not have leads nowhere in it, and is no link of ours.
    release
        .top_level
        .binary_search_by(|known| known.as_os_str().cmp(name))
        .is_ok()
        && readlinkat(directory, name).is_ok_and(|target| target == *release.dir.join(name))
}

fn is_empty(directory: BorrowedFd<'_>, made_for: &MadeFor<'_>) -> Result<bool, Errno> {
    let Some(mut tmp) = open_unchanged(directory, TMP, made_for)? else {
        return Ok(false);
    };
    for entry in tmp.iter() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `None` when it is no directory any more, or has another owner, mode or project.
fn open_unchanged(
    parent: BorrowedFd<'_>,
    name: &str,
    made_for: &MadeFor<'_>,
) -> Result<Option<Dir>, Errno> {
    let fd = match openat(parent, name, directory_flags(), Mode::empty()) {
        Err(Errno::ELOOP | Errno::ENOTDIR | Errno::ENOENT | Errno::EACCES) => return Ok(None),
        fd => fd?,
    };
    let stat = fstat(&fd)?;
    let same_owner = made_for
        .owner
        .is_none_or(|owner| owner == (stat.st_uid, stat.st_gid));
    if stat.st_mode & 0o7777 != PRIVATE_MODE.bits() || !same_owner {
        return Ok(None);
    }
    // What cannot be asked is not known to be so.
    let same_project = made_for
        .project
        .is_none_or(|project| project.holds(fd.as_fd()).unwrap_or(false));
    if !same_project {
        return Ok(None);
    }
    Dir::from_fd(fd).map(Some)
}
