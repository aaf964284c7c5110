//! Who may enter a function's directory of releases: the user that the function runs as, and nobody
//! else beside root.
//!
//! By a POSIX access control list, because the user must not own the directory (an owner may change
//! what it permits) and all functions share one group. Setting it replaces list and mode in one step.
//! Where the file system has no such lists, everyone may read: file isolation still keeps functions
//! out, where it is enforced, and the log says so once.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Once;

use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;

use crate::base::atomic_file::FileError;

/// acl(5), "EXTENDED ATTRIBUTES"; the form of the value is that of Linux'
/// `include/uapi/linux/posix_acl_xattr.h`.
const ATTRIBUTE: &str = "system.posix_acl_access";
const VERSION: u32 = 2;
const UNDEFINED_ID: u32 = u32::MAX;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

const ALL: u16 = 0o7;
const READ_AND_ENTER: u16 = 0o5;
const NONE: u16 = 0;

/// The mode of what only the agent may use.
pub(super) const PRIVATE_MODE: u32 = 0o700;
/// Where there are no access control lists.
const OPEN_MODE: u32 = 0o755;

static NO_LISTS: Once = Once::new();

/// Lets exactly these users read and enter `directory`, beside the agent's own.
///
/// # Errors
/// The system's reason, also that there is no such directory.
pub(super) fn grant(directory: &Path, uids: &[u32]) -> Result<(), FileError> {
    let failed = FileError::at("set the permissions of", directory);
    match setxattr(directory, ATTRIBUTE, &list(uids), XattrFlags::empty()) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP) => grant_by_mode(directory, uids).map_err(failed),
        Err(errno) => Err(failed(io::Error::from(errno))),
    }
}

fn grant_by_mode(directory: &Path, uids: &[u32]) -> io::Result<()> {
    if uids.is_empty() {
        return fs::set_permissions(directory, Permissions::from_mode(PRIVATE_MODE));
    }
    NO_LISTS.call_once(|| {
        log::warn!(
            "the file system of {} has no access control lists: every function may read every \
             release there, unless its file isolation is strict",
            directory.display()
        );
    });
    fs::set_permissions(directory, Permissions::from_mode(OPEN_MODE))
}

/// Without users it is as good as mode 0700; with some, the mode shows as 0750.
fn list(uids: &[u32]) -> Vec<u8> {
    let mut list = VERSION.to_le_bytes().to_vec();
    let mut entry = |tag: u16, permissions: u16, id: u32| {
        list.extend_from_slice(&tag.to_le_bytes());
        list.extend_from_slice(&permissions.to_le_bytes());
        list.extend_from_slice(&id.to_le_bytes());
    };
    entry(USER_OBJ, ALL, UNDEFINED_ID);
    // The kernel wants them in this order.
    for &uid in uids {
        entry(USER, READ_AND_ENTER, uid);
    }
    entry(GROUP_OBJ, NONE, UNDEFINED_ID);
    if !uids.is_empty() {
        entry(MASK, READ_AND_ENTER, UNDEFINED_ID);
    }
    entry(OTHER, NONE, UNDEFINED_ID);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_access_control_lists_everyone_may_read_or_nobody() {
        let directory = tempfile::tempdir().expect("tempdir");
        let mode = || {
            let metadata = fs::metadata(directory.path()).expect("stat");
            metadata.permissions().mode() & 0o777
        };
        grant_by_mode(directory.path(), &[70_000]).expect("chmod");
        assert_eq!(mode(), OPEN_MODE);
        grant_by_mode(directory.path(), &[]).expect("chmod");
        assert_eq!(mode(), PRIVATE_MODE);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_that_names_it() {
        let error = grant(Path::new("/nonexistent/functions"), &[70_000]).expect_err("absent");
        assert!(
            error.to_string().contains("/nonexistent/functions"),
            "{error}"
        );
    }
}
