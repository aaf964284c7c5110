//! Which project a directory belongs to (ioctl_fsgetxattr(2)).

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::errno::Errno;

/// `struct fsxattr` of linux/fs.h.
#[repr(C)]
#[derive(Debug, Default)]
struct Attributes {
    xflags: u32,
    extsize: u32,
    nextents: u32,
    projid: u32,
    cowextsize: u32,
    pad: [u8; 8],
}

/// What is made in the directory gets its project, and this flag.
const FS_XFLAG_PROJINHERIT: u32 = 0x200;
/// `_IOR('X', 31, struct fsxattr)` and `_IOW('X', 32, struct fsxattr)`.
const FS_IOC_FSGETXATTR: libc::Ioctl = 0x801c_581f;
const FS_IOC_FSSETXATTR: libc::Ioctl = 0x401c_5820;

/// Puts a project on an empty directory, and on all that will be made in it.
///
/// # Errors
/// EOPNOTSUPP: the file system was made without projects.
pub(super) fn give(directory: BorrowedFd<'_>, project: u32) -> Result<(), Errno> {
    let mut attributes = read(directory)?;
    attributes.projid = project;
    attributes.xflags |= FS_XFLAG_PROJINHERIT;
    call(directory, FS_IOC_FSSETXATTR, &mut attributes)
}

/// Of the directory itself; 0 is none.
///
/// # Errors
/// ENOTTY: the file system has no such attributes.
pub(super) fn project_of(directory: BorrowedFd<'_>) -> Result<u32, Errno> {
    Ok(read(directory)?.projid)
}

/// Whether it, and what is made in it, belongs to `project`.
///
/// # Errors
/// The system's.
pub(super) fn is_of(directory: BorrowedFd<'_>, project: u32) -> Result<bool, Errno> {
    let attributes = read(directory)?;
    Ok(attributes.projid == project && attributes.xflags & FS_XFLAG_PROJINHERIT != 0)
}

fn read(directory: BorrowedFd<'_>) -> Result<Attributes, Errno> {
    let mut attributes = Attributes::default();
    call(directory, FS_IOC_FSGETXATTR, &mut attributes)?;
    Ok(attributes)
}

fn call(
    directory: BorrowedFd<'_>,
    request: libc::Ioctl,
    attributes: &mut Attributes,
) -> Result<(), Errno> {
    // SAFETY: `attributes` is what both requests take, and outlives the call.
    let result = unsafe { libc::ioctl(directory.as_raw_fd(), request, ptr::from_mut(attributes)) };
    Errno::result(result).map(drop)
}
