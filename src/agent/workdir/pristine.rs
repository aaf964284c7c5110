//! Whether a working directory is as Flux made it: the same names, the same links, nothing in
//! `.tmp`, the same owner, mode and project, no attributes that a function gives, and not swollen.
//!
//! Follows nothing that a function may have planted.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat};
use rustix::fs::{IFlags, flistxattr, ioctl_getflags};

use super::work_dirs::{PRIVATE_MODE, TMP, directory_flags};
use crate::agent::release::Release;
use crate::sandbox::Project;

/// What a working directory has to be as.
pub(super) struct MadeFor<'a> {
    pub release: &'a Release,
    pub owner: Option<(u32, u32)>,
    pub project: Option<&'a Project>,
}

/// Units of 512 bytes of a directory. On ext4 one never shrinks, and a larger one would take from the
/// disk limits and the time of all executions to come; this is what some thousand links take.
const BLOCKS_MOST: i64 = 128;
/// Bytes of names of attributes that are looked at. Those of the system's own are few and short.
const NAMES_MOST: usize = 1024;
/// How what is made in a directory is written, as its owner may say (chattr(1)).
const OWNERS_FLAGS: IFlags = IFlags::SYNC
    .union(IFlags::DIRSYNC)
    .union(IFlags::NOATIME)
    .union(IFlags::NODUMP)
    .union(IFlags::NOCOW)
    .union(IFlags::COMPRESSED);

/// `name` is the working directory's in `root`.
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

/// `None` when it is no directory any more, or has another owner, mode, project, size or attributes.
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
    let same_mode = stat.st_mode & 0o7777 == PRIVATE_MODE.bits();
    if !same_mode || !same_owner || is_swollen(&stat) || is_marked(&fd) || is_flagged(parent, &fd) {
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

fn is_swollen(stat: &FileStat) -> bool {
    stat.st_blocks > BLOCKS_MOST
}

/// Whether it has extended attributes (xattr(7)) of others than the kernel and its security modules:
/// a default access control list above all, which says what may be done with all that is made in it.
fn is_marked(directory: &OwnedFd) -> bool {
    let mut names = [0; NAMES_MOST];
    let length = match flistxattr(directory, &mut names) {
        Ok(length) => length,
        Err(errno) => return errno != rustix::io::Errno::OPNOTSUPP,
    };
    let mut names = names[..length].split(|&byte| byte == 0);
    names.any(|name| {
        let is_systems = name.starts_with(b"security.") || name.starts_with(b"trusted.");
        !name.is_empty() && !is_systems
    })
}

/// Whether it has other flags than the directory that it is in, from which it had them. Where there
/// are no flags, nobody has changed any.
fn is_flagged(parent: BorrowedFd<'_>, directory: &OwnedFd) -> bool {
    match (ioctl_getflags(parent), ioctl_getflags(directory)) {
        (Ok(parents), Ok(own)) => !((parents ^ own) & OWNERS_FLAGS).is_empty(),
        (Err(_), _) | (_, Err(_)) => false,
    }
}
