//! How much there may be, and what is too much, whoever counts it.

use std::fmt;

use crate::base::units::Mib;

/// How much of the limit allows one file: the default of mke2fs(8), so that a limit's share of the inodes of a
/// file system is its share of the space.
const BYTES_PER_ENTRY: u64 = 16 * 1024;
/// Files that the smallest limit allows: the top level of a release, as links, is among them.
const ENTRIES_LEAST: u64 = 10_000;
/// Files that the largest limit allows, which is the share of 4 GiB: a look of the measured way takes
/// up to 40 bytes of the agent's memory for each, and its removal at the end some time.
const ENTRIES_MOST: u64 = 262_144;

/// What was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Excess {
    /// Bytes on disk, as far as they were counted.
    Bytes { used: u64, limit: Mib },
    /// Files: names where they are measured, inodes where the kernel counts.
    Entries { made: u64, limit: u64 },
    /// Directories in each other; where they are measured alone.
    Depth { limit: usize },
}

/// How much an execution may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Limit {
    disk: Mib,
    entries: u64,
}

/// As the execution's record says it, which says what the execution did: `killed by SIGTERM`, `made 3 files`.
impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // As with a quota, of which nobody can have more than a page.
            Excess::Bytes { used, limit } if used - limit.bytes() < Mib(1).bytes() => {
                write!(f, "used all of its disk limit of {limit}")
            }
            Excess::Bytes { used, limit } => {
                let used = Mib(used.div_ceil(Mib(1).bytes()));
                write!(f, "used {used} of its disk limit of {limit}")
            }
            Excess::Entries { made, limit } => {
                write!(f, "made {made} files, and its limit is {limit}")
            }
            Excess::Depth { limit } => {
                write!(f, "made directories more than {limit} deep in each other")
            }
        }
    }
}

impl Limit {
    pub(in super::super) fn new(disk: Mib) -> Limit {
        let entries = disk.bytes() / BYTES_PER_ENTRY;
        Limit {
            disk,
            entries: entries.clamp(ENTRIES_LEAST, ENTRIES_MOST),
        }
    }

    pub(super) fn bytes(self) -> u64 {
        self.disk.bytes()
    }

    pub(super) fn entries(self) -> u64 {
        self.entries
    }

    /// # Errors
    /// That it is too much.
    pub(super) fn check(self, bytes: u64, entries: u64) -> Result<(), Excess> {
        if bytes > self.bytes() {
            return Err(Excess::Bytes {
                used: bytes,
                limit: self.disk,
            });
        }
        if entries > self.entries {
            return Err(Excess::Entries {
                made: entries,
                limit: self.entries,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_limited_in_proportion_to_space_within_bounds() {
        assert_eq!(Limit::new(Mib(1)).entries, ENTRIES_LEAST);
        assert_eq!(Limit::new(Mib(1024)).entries, 65_536);
        assert_eq!(Limit::new(Mib(u64::MAX)).entries, ENTRIES_MOST);
    }

    #[test]
    fn at_the_limit_is_not_over_it() {
        let limit = Limit::new(Mib(2));
        assert_eq!(limit.check(2 << 20, ENTRIES_LEAST), Ok(()));
        for (used, said) in [
            ((2 << 20) + 1, "used all of its disk limit of 2 MiB"),
            ((3 << 20) + 1, "used 4 MiB of its disk limit of 2 MiB"),
        ] {
            let excess = limit.check(used, 0).expect_err("more");
            assert_eq!(excess.to_string(), said);
        }
        let excess = limit.check(0, ENTRIES_LEAST + 1).expect_err("a file more");
        assert_eq!(
            excess.to_string(),
            "made 10001 files, and its limit is 10000"
        );
    }
}
