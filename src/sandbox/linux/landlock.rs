//! A Landlock domain of its own for every execution (landlock(7)).
//!
//! Executions share one user, so the kernel's ordinary rules would let one read another's memory and
//! environment, and signal it. A process in a domain can trace, and so read, only what is in
//! its own domain; from ABI 6 on (Linux 6.12) the domain can hold signals in as well. No file access
//! is restricted that a function could have use for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION_FLAG: u32 = 1;
/// `LANDLOCK_ACCESS_FS_MAKE_BLOCK`. A ruleset must handle something; making block devices needs
/// CAP_MKNOD, which no execution has.
const MAKE_BLOCK: u64 = 1 << 11;
/// `LANDLOCK_SCOPE_SIGNAL`.
const SCOPE_SIGNAL: u64 = 1 << 1;
/// The first ABI with scopes.
const ABI_SCOPES: i64 = 6;

/// `struct landlock_ruleset_attr` of ABI 6.
#[repr(C)]
struct Attributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// Entered by each child.
#[derive(Debug)]
pub(super) struct Ruleset {
    fd: OwnedFd,
    holds_signals: bool,
}

impl Ruleset {
    /// # Errors
    /// ENOSYS or EOPNOTSUPP where the kernel has no Landlock or it is not switched on.
    pub(super) fn open() -> io::Result<Ruleset> {
        let abi = create(ptr::null(), 0, VERSION_FLAG)?;
        let holds_signals = abi >= ABI_SCOPES;
        let attributes = Attributes {
            handled_access_fs: MAKE_BLOCK,
            handled_access_net: 0,
            scoped: SCOPE_SIGNAL,
        };
        let size = if holds_signals {
            size_of::<Attributes>()
        } else {
            // ABI 1 knows the first field alone and refuses more of it.
            size_of::<u64>()
        };
        let fd = create(&raw const attributes, size, 0)?;
        Ok(Ruleset {
            // SAFETY: the call has just opened it, close-on-exec, for us alone.
            fd: unsafe { OwnedFd::from_raw_fd(fd as i32) },
            holds_signals,
        })
    }

    /// Whether signals stay inside too.
    pub(super) fn holds_signals(&self) -> bool {
        self.holds_signals
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn raw(ruleset: Option<&Ruleset>) -> i32 {
        ruleset.map_or(-1, |ruleset| ruleset.fd().as_raw_fd())
    }
}

fn create(attributes: *const Attributes, size: usize, flags: u32) -> io::Result<i64> {
    // SAFETY: `size` bytes of `attributes` are readable, and none for the version.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attributes, size, flags) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
