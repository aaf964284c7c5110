//! What a look has counted so far, and whether that is too much. Refuses
//! to know where the figures come from.
//!
//! Invariant: an inode's blocks are counted once in a look, however many names, descriptors and
//! mappings lead to it, and wherever it is moved meanwhile.

use std::collections::{BTreeSet, HashSet};

use nix::libc::{S_IFMT, S_IFREG};
use nix::sys::stat::FileStat;

use super::super::limit::{Excess, Limit};

/// Unit of `st_blocks`, whatever the file system's own block size is (stat(3type)).
const BLOCK_BYTES: u64 = 512;
/// Directories in each other. No longer path can be named in one call (PATH_MAX, 4096 bytes with
/// a slash for each name).
pub(super) const DEPTH_MOST: usize = 2048;

/// What one look has counted.
#[derive(Debug)]
pub(super) struct Tally {
    limit: Limit,
    /// User id with which the execution makes files.
    owner: u32,
    bytes: u64,
    entries: u64,
    seen: HashSet<Inode>,
    /// More than one where subvolumes are used.
    devices: BTreeSet<u64>,
}

/// Which file, wherever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Inode {
    device: u64,
    number: u64,
}

impl Tally {
    pub(super) fn new(limit: Limit, owner: u32) -> Tally {
        Tally {
            limit,
            owner,
            bytes: 0,
            entries: 0,
            seen: HashSet::new(),
            devices: BTreeSet::new(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// Where the counting begins, which is no entry itself.
    pub(super) fn add_root(&mut self, stat: &FileStat) {
        self.add_blocks(stat);
    }

    /// Something with a name.
    ///
    /// # Errors
    /// That it is too much.
    pub(super) fn add_entry(&mut self, stat: &FileStat) -> Result<(), Excess> {
        self.entries += 1;
        self.add_blocks(stat);
        self.check()
    }

    /// Something that a process holds. Counts when it has no name any more, is the execution's own,
    /// as a system's library that was replaced is not, and is of a file system in which something
    /// with a name was found: what is in memory alone is not on disk.
    ///
    /// # Errors
    /// That it is too much.
    pub(super) fn add_held(&mut self, stat: &FileStat) -> Result<(), Excess> {
        let is_file = stat.st_mode & S_IFMT == S_IFREG && stat.st_uid == self.owner;
        if is_file && stat.st_nlink == 0 && self.devices.contains(&stat.st_dev) {
            self.add_blocks(stat);
        }
        self.check()
    }

    fn add_blocks(&mut self, stat: &FileStat) {
        self.devices.insert(stat.st_dev);
        if self.seen.insert(Inode::of(stat)) {
            let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
            self.bytes = self
                .bytes
                .saturating_add(blocks.saturating_mul(BLOCK_BYTES));
        }
    }

    fn check(&self) -> Result<(), Excess> {
        self.limit.check(self.bytes, self.entries)
    }
}

impl Inode {
    pub(super) fn of(stat: &FileStat) -> Inode {
        Inode {
            device: stat.st_dev,
            number: stat.st_ino,
        }
    }
}
