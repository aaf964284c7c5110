//! One project: the limits of a working directory, and what it holds.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::super::limit::{Excess, Limit};
use super::attributes;
use super::projects::Shared;
use super::quotactl::{self, Bounds, Figures};

/// The directory itself is an inode that no limit means.
const OWN_INODES: u64 = 1;

/// Of one working directory. That and all processes that had to do with it must be gone when this is dropped:
/// the limits go then, and the id can be another directory's once nothing is counted for it.
#[derive(Debug)]
pub struct Project {
    shared: Arc<Shared>,
    id: u32,
}

impl Project {
    pub(super) fn new(shared: Arc<Shared>, id: u32) -> Project {
        Project { shared, id }
    }

    /// Whether a directory, and what is made in it, belongs to this project. One that a function had in
    /// its hands with all system calls may not.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn holds(&self, directory: BorrowedFd<'_>) -> io::Result<bool> {
        Ok(attributes::is_of(directory, self.id)?)
    }

    /// Has the kernel hold this limit, or none, from now on.
    ///
    /// # Errors
    /// The system's: quotas have been switched off.
    pub(in super::super::super) fn limit(&self, limit: Option<Limit>) -> io::Result<()> {
        let bounds = limit.map_or(Bounds::NONE, |limit| {
            bounds(limit, self.shared.unit_bytes())
        });
        Ok(quotactl::limit(self.shared.file_system(), self.id, bounds)?)
    }

    /// Bytes, and what is too much of bytes or files.
    ///
    /// # Errors
    /// The system's: quotas have been switched off.
    pub(in super::super) fn look(&self, limit: Option<Limit>) -> io::Result<(u64, Option<Excess>)> {
        let found = quotactl::figures(self.shared.file_system(), self.id)?;
        let excess = limit.and_then(|limit| excess(limit, found));
        Ok((found.bytes, excess))
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.shared.release(self.id);
    }
}

/// A unit of writing and an inode more than the limit: who is refused one of them is over it, and nobody
/// else is.
fn bounds(limit: Limit, unit_bytes: u64) -> Bounds {
    Bounds {
        bytes: limit.bytes().saturating_add(unit_bytes),
        inodes: limit.entries() + OWN_INODES + 1,
    }
}

fn excess(limit: Limit, found: Figures) -> Option<Excess> {
    let entries = found.inodes.saturating_sub(OWN_INODES);
    limit.check(found.bytes, entries).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Mib;

    #[test]
    fn what_the_kernel_lets_through_at_the_most_is_over_the_limit() {
        let limit = Limit::new(Mib(8));
        let bounds = bounds(limit, 4096);
        let found = |bytes, inodes| Figures {
            bytes,
            inodes,
            is_limited: true,
        };
        assert!(excess(limit, found(bounds.bytes, 0)).is_some());
        assert!(excess(limit, found(bounds.bytes - 4096, 0)).is_none());
        assert!(excess(limit, found(0, bounds.inodes)).is_some());
        assert!(excess(limit, found(0, bounds.inodes - 1)).is_none());
    }
}
