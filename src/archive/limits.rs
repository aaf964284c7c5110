//! How large an archive, and what comes out of it, may be.

use crate::base::units::Mib;

/// Bounds on one archive. [`ArchiveLimits::default`] suits a function's code with its
/// dependencies; a deployment may set others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Bytes of the archive itself.
    pub max_archive_bytes: u64,
    /// Files and directories together: each costs an inode and several system calls.
    pub max_entries: u64,
    /// Bytes of all files together after inflating.
    pub max_total_bytes: u64,
    /// Bytes of one file after inflating.
    pub max_entry_bytes: u64,
    /// How often larger than its compressed form a file may be, once it is past
    /// [`ArchiveLimits::RATIO_FREE_BYTES`]. Deflate itself ends at 1032.
    pub max_ratio: u64,
    /// Parts of one path.
    pub max_depth: usize,
}

impl ArchiveLimits {
    /// Below this size no ratio is checked: a small file of zeros is no bomb, and a whole
    /// archive of such files still meets the limits on entries and total.
    pub(crate) const RATIO_FREE_BYTES: u64 = Mib(1).bytes();
    /// Bytes of one part of a path: NAME_MAX of every common Linux file system.
    pub(crate) const MAX_PART_BYTES: usize = 255;
    /// Bytes of one path: a quarter of PATH_MAX, so that it fits below any directory of ours.
    pub(crate) const MAX_PATH_BYTES: usize = 1024;
    /// Bytes of the central directory for one allowed entry, on the average: the fixed 46, a
    /// path, and room for extra fields. Bounds what is held in memory while inspecting.
    pub(crate) const DIRECTORY_BYTES_PER_ENTRY: u64 = 2048;
}

impl Default for ArchiveLimits {
    fn default() -> ArchiveLimits {
        ArchiveLimits {
            max_archive_bytes: Mib(256).bytes(),
            max_entries: 10_000,
            max_total_bytes: Mib(1024).bytes(),
            max_entry_bytes: Mib(1024).bytes(),
            max_ratio: 200,
            max_depth: 32,
        }
    }
}
