//! quotactl_fd(2) for projects, in the commands that every file system with quotas has.
//!
//! By a descriptor on the file system, because the agent may have no way to the device. Linux 5.14.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::errno::Errno;

/// Of quotactl(2): the kind of quota, and `QCMD`, which puts it below the command.
const PRJQUOTA: u32 = 2;
const fn command(number: u32) -> u32 {
    number << 8 | PRJQUOTA
}
const Q_GETQUOTA: u32 = command(0x80_0007);
const Q_SETQUOTA: u32 = command(0x80_0008);
const Q_GETNEXTQUOTA: u32 = command(0x80_0009);
/// XFS's command for it; the kernel answers it for ext4 as well (fs/quota/quota.c, quota_getstatev).
/// Q_GETINFO does not tell whether limits are enforced.
const Q_XGETQSTATV: u32 = command(((b'X' as u32) << 8) + 8);

/// Of `dqb_valid`: both hard and soft limits.
const QIF_BLIMITS: u32 = 1;
const QIF_ILIMITS: u32 = 4;
/// Unit of the limits to space (QIF_DQBLKSIZE).
const LIMIT_UNIT: u64 = 1024;

/// `struct if_nextdqblk` of linux/quota.h, which begins as `struct if_dqblk`. A limit of 0 is none.
#[repr(C)]
#[derive(Debug, Default)]
struct Dqblk {
    bhardlimit: u64,
    bsoftlimit: u64,
    curspace: u64,
    ihardlimit: u64,
    isoftlimit: u64,
    curinodes: u64,
    btime: u64,
    itime: u64,
    valid: u32,
    id: u32,
}

/// `struct fs_quota_statv` of linux/dqblk_xfs.h, version 1, as far as it is read here.
#[repr(C)]
struct Statv {
    version: i8,
    pad: u8,
    flags: u16,
    rest: [u32; 39],
}

const STATV_VERSION1: i8 = 1;
/// FS_QUOTA_PDQ_ACCT and FS_QUOTA_PDQ_ENFD: projects are counted, and their limits hold.
const PROJECTS_COUNTED: u16 = 1 << 4;
const PROJECTS_LIMITED: u16 = 1 << 5;

/// What one project may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figures {
    /// Reserved ones included.
    pub bytes: u64,
    pub inodes: u64,
    pub is_limited: bool,
}

/// What a project may have; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub bytes: u64,
    pub inodes: u64,
}

impl Bounds {
    pub(super) const NONE: Bounds = Bounds {
        bytes: 0,
        inodes: 0,
    };
}

impl Figures {
    pub(super) fn is_empty(self) -> bool {
        self.bytes == 0 && self.inodes == 0
    }
}

/// Whether this file system holds projects to their limits.
///
/// # Errors
/// ENOSYS: it has no quotas, or the kernel not this call.
pub(super) fn enforces(file_system: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut state = Statv {
        version: STATV_VERSION1,
        pad: 0,
        flags: 0,
        rest: [0; 39],
    };
    call(file_system, Q_XGETQSTATV, 0, &mut state)?;
    let needed = PROJECTS_COUNTED | PROJECTS_LIMITED;
    Ok(state.flags & needed == needed)
}

/// The figures of a project that may have none.
///
/// # Errors
/// The system's.
pub(super) fn figures(file_system: BorrowedFd<'_>, id: u32) -> Result<Figures, Errno> {
    let mut found = Dqblk::default();
    match call(file_system, Q_GETQUOTA, id, &mut found) {
        // XFS has nothing about a project that had nothing yet.
        Ok(()) | Err(Errno::ENOENT) => Ok(found.figures()),
        Err(errno) => Err(errno),
    }
}

/// The next project, from `id` on, that the file system has something about.
///
/// # Errors
/// The system's.
pub(super) fn next(file_system: BorrowedFd<'_>, id: u32) -> Result<Option<(u32, Figures)>, Errno> {
    let mut found = Dqblk::default();
    match call(file_system, Q_GETNEXTQUOTA, id, &mut found) {
        Ok(()) => Ok(Some((found.id, found.figures()))),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// # Errors
/// EPERM without CAP_SYS_ADMIN; ESRCH where quotas have been switched off.
pub(super) fn limit(file_system: BorrowedFd<'_>, id: u32, bounds: Bounds) -> Result<(), Errno> {
    let mut wanted = Dqblk {
        bhardlimit: bounds.bytes.div_ceil(LIMIT_UNIT),
        ihardlimit: bounds.inodes,
        valid: QIF_BLIMITS | QIF_ILIMITS,
        ..Dqblk::default()
    };
    call(file_system, Q_SETQUOTA, id, &mut wanted)
}

impl Dqblk {
    fn figures(&self) -> Figures {
        let limits = [
            self.bhardlimit,
            self.bsoftlimit,
            self.ihardlimit,
            self.isoftlimit,
        ];
        Figures {
            bytes: self.curspace,
            inodes: self.curinodes,
            is_limited: limits.iter().any(|&limit| limit != 0),
        }
    }
}

fn call<T>(file_system: BorrowedFd<'_>, command: u32, id: u32, data: &mut T) -> Result<(), Errno> {
    // SAFETY: `data` outlives the call and is as large as what any of the commands above reads
    // or writes: the callers pair them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            file_system.as_raw_fd(),
            command,
            id,
            ptr::from_mut(data),
        )
    };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<Dqblk>(), 72);
        assert_eq!(size_of::<Statv>(), 160);
        assert_eq!(Q_GETQUOTA, 0x8000_0702);
        assert_eq!(Q_XGETQSTATV, 0x58_0802);
    }

    #[test]
    fn any_limit_of_somebody_else_is_seen() {
        let nothing = Dqblk::default().figures();
        assert!(nothing.is_empty() && !nothing.is_limited);
        let limited = Dqblk {
            isoftlimit: 1,
            ..Dqblk::default()
        };
        assert!(limited.figures().is_limited);
        let used = Dqblk {
            curinodes: 1,
            ..Dqblk::default()
        };
        assert!(!used.figures().is_empty());
    }
}
