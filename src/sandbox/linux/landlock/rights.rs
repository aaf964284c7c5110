//! What can be done with files, one bit each (linux/landlock.h, LANDLOCK_ACCESS_FS_*), and which of it
//! each kind of path gives.
//!
//! A ruleset handles all that the kernel knows: what is handled and not given by a rule is denied.

pub(super) const EXECUTE: u64 = 1 << 0;
pub(super) const WRITE_FILE: u64 = 1 << 1;
pub(super) const READ_FILE: u64 = 1 << 2;
pub(super) const READ_DIR: u64 = 1 << 3;
pub(super) const MAKE_CHAR: u64 = 1 << 6;
pub(super) const MAKE_BLOCK: u64 = 1 << 11;
/// Into another directory, by name or by rename.
pub(super) const REFER: u64 = 1 << 13;
pub(super) const TRUNCATE: u64 = 1 << 14;
pub(super) const IOCTL_DEV: u64 = 1 << 15;

/// The first version with each right beyond the first thirteen.
const BEGINNINGS: [(i64, u64); 3] = [(2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)];
/// Of the first version: from EXECUTE to MAKE_SYM.
const FIRST: u64 = (1 << 13) - 1;

/// The rights that can be given on what is no directory; others are refused there.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

/// Reading and executing.
pub(super) const READ: u64 = EXECUTE | READ_FILE | READ_DIR;
/// Everything but devices.
pub(super) const WRITE: u64 = !(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV);
/// Using a device.
pub(super) const USE: u64 = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV;

/// All that a kernel of this version knows.
pub(super) fn known(version: i64) -> u64 {
    let later = BEGINNINGS.iter().filter(|(first, _)| *first <= version);
    later.fold(FIRST, |all, (_, right)| all | right)
}

/// What of `rights` can be given on a path.
pub(super) fn on(is_directory: bool, rights: u64) -> u64 {
    if is_directory {
        rights
    } else {
        rights & OF_FILES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_knows_what_the_one_before_knew() {
        assert_eq!(known(1), 0x1fff);
        assert_eq!(known(2), 0x3fff);
        assert_eq!((known(3), known(4)), (0x7fff, 0x7fff));
        assert_eq!((known(5), known(7)), (0xffff, 0xffff));
    }

    #[test]
    fn a_file_gives_nothing_that_only_directories_have() {
        assert_eq!(on(false, READ), EXECUTE | READ_FILE);
        assert_eq!(
            on(false, WRITE),
            EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE
        );
        assert_eq!(on(true, WRITE) & (MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV), 0);
    }
}
