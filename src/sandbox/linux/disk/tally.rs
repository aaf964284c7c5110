//! What a look has counted so far, and whether that is too much. Owns the figures of the limit;
//! refuses to know where they come from.
//!
//! Invariant: an inode's blocks are counted once in a look, however many names, descriptors and
//! mappings lead to it, and wherever it is moved meanwhile.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use nix::libc::{S_IFMT, S_IFREG};
use nix::sys::stat::FileStat;

use crate::base::units::Mib;

/// Unit of `st_blocks`, whatever the file system's own block size is (stat(3type)).
const BLOCK_BYTES: u64 = 512;
/// Of the limit for each name: the default of mke2fs(8), so that a limit's share of the inodes of a
/// file system is its share of the space.
const BYTES_PER_ENTRY: u64 = 16 * 1024;
/// Names that the smallest limit allows: the top level of a release, as links, is among them.
const ENTRIES_LEAST: u64 = 10_000;
/// Names that the largest limit allows, which is the share of 4 GiB: a look takes up to 40 bytes of
/// the agent's memory for each, and its removal at the end some time.
const ENTRIES_MOST: u64 = 262_144;
/// Directories in each other. No longer path can be named in one call (PATH_MAX, 4096 bytes with
/// a slash for each name).
pub(super) const DEPTH_MOST: usize = 2048;

/// What was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Excess {
    /// Bytes on disk, as far as they were counted.
    Bytes { used: u64, limit: Mib },
    /// Names, as far as they were counted.
    Entries { made: u64, limit: u64 },
    /// Directories in each other.
    Depth { limit: usize },
}

/// How much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    disk: Mib,
    entries: u64,
}

/// Of one look.
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

/// After "it".
impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Excess::Bytes { used, limit } => {
                let used = Mib(used.div_ceil(Mib(1).bytes()));
                write!(f, "used {used} of its disk limit of {limit}")
            }
            Excess::Entries { made, limit } => write!(f, "made {made} files, limit {limit}"),
            Excess::Depth { limit } => {
                write!(f, "made directories more than {limit} deep in each other")
            }
        }
    }
}

impl Limit {
    pub(super) fn new(disk: Mib) -> Limit {
        let entries = disk.bytes() / BYTES_PER_ENTRY;
        Limit {
            disk,
            entries: entries.clamp(ENTRIES_LEAST, ENTRIES_MOST),
        }
    }

    pub(super) fn bytes(self) -> u64 {
        self.disk.bytes()
    }
}

impl Tally {
    /// With `root`, which is where the counting begins.
    pub(super) fn new(limit: Limit, owner: u32, root: &FileStat) -> Tally {
        let mut tally = Tally {
            limit,
            owner,
            bytes: 0,
            entries: 0,
            seen: HashSet::new(),
            devices: BTreeSet::new(),
        };
        tally.add_blocks(root);
        tally
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> u64 {
        self.entries
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
        if self.bytes > self.limit.bytes() {
            return Err(Excess::Bytes {
                used: self.bytes,
                limit: self.limit.disk,
            });
        }
        if self.entries > self.limit.entries {
            return Err(Excess::Entries {
                made: self.entries,
                limit: self.limit.entries,
            });
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_limited_in_proportion_to_space_within_bounds() {
        assert_eq!(Limit::new(Mib(1)).entries, ENTRIES_LEAST);
        assert_eq!(Limit::new(Mib(1024)).entries, 65_536);
        assert_eq!(Limit::new(Mib(u64::MAX)).entries, ENTRIES_MOST);
    }
}
