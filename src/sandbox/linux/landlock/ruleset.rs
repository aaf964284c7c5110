//! One ruleset of the kernel's: made, given its rules, and kept as a descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION_FLAG: u32 = 1;
/// `LANDLOCK_RULE_PATH_BENEATH`.
const PATH_BENEATH: u32 = 1;
/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`.
pub(super) const SCOPE_SOCKETS: u64 = 1 << 0;
/// `LANDLOCK_SCOPE_SIGNAL`.
pub(super) const SCOPE_SIGNALS: u64 = 1 << 1;
/// The first version with scopes.
pub(super) const SCOPES_FROM: i64 = 6;

/// `struct landlock_ruleset_attr` of version 6.
#[repr(C)]
struct Attributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// Entered by children.
#[derive(Debug)]
pub(super) struct Ruleset {
    fd: OwnedFd,
}

/// The version of the kernel's Landlock.
///
/// # Errors
/// ENOSYS or EOPNOTSUPP where the kernel has no Landlock or it is not switched on.
pub(super) fn version() -> io::Result<i64> {
    create(ptr::null(), 0, VERSION_FLAG)
}

/// For people, who can do something about it.
pub(in super::super) fn why_missing(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => {
            "this kernel has no Landlock: it takes Linux 5.13 or newer, built with \
                               CONFIG_SECURITY_LANDLOCK"
                .to_owned()
        }
        Some(libc::EOPNOTSUPP) => {
            "this kernel's Landlock is switched off: put landlock into the list \
                                   of lsm= on the kernel's command line, and boot"
                .to_owned()
        }
        _ => format!("Landlock is not to be had: {error}"),
    }
}

impl Ruleset {
    /// Handles these rights to files, and holds `scopes` inside; no scopes before version 6.
    pub(super) fn new(rights: u64, scopes: u64) -> io::Result<Ruleset> {
        let attributes = Attributes {
            handled_access_fs: rights,
            handled_access_net: 0,
            scoped: scopes,
        };
        // Fields that an earlier version does not know are 0 then, which it accepts.
        let fd = create(&raw const attributes, size_of::<Attributes>(), 0)?;
        Ok(Ruleset {
            // SAFETY: the call has just opened it, close-on-exec, for us alone.
            fd: unsafe { OwnedFd::from_raw_fd(fd as i32) },
        })
    }

    /// Gives `rights`, all of which this ruleset handles, on `path` and all that is below it.
    pub(super) fn add(&self, path: BorrowedFd<'_>, rights: u64) -> io::Result<()> {
        let rule = PathBeneath {
            allowed_access: rights,
            parent_fd: path.as_raw_fd(),
        };
        // SAFETY: the ruleset is open, and the rule outlives the call, which only reads it.
        let result = unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.fd.as_raw_fd(),
                PATH_BENEATH,
                &raw const rule,
                0,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl AsFd for Ruleset {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Ruleset> for OwnedFd {
    fn from(ruleset: Ruleset) -> OwnedFd {
        ruleset.fd
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
