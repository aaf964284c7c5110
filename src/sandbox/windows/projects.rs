//! Quotas of working directories, on Windows. There are none yet, and nobody can make one.
//!
//! A directory that is open is a handle here, where it is a file descriptor on Linux.

use std::convert::Infallible;
use std::io;
use std::os::windows::io::BorrowedHandle;

/// What gives working directories quotas.
#[derive(Debug, Clone)]
pub(crate) struct Projects {
    never: Infallible,
}

/// The quota of one working directory.
#[derive(Debug)]
pub(crate) struct Project {
    never: Infallible,
}

impl Projects {
    /// Gives an empty directory a quota of its own.
    ///
    /// # Errors
    /// Never reached.
    pub(crate) fn assign(&self, _directory: BorrowedHandle<'_>) -> io::Result<Project> {
        match self.never {}
    }

    /// Removes the quotas that an earlier agent process left, and says how many they were.
    ///
    /// # Errors
    /// Never reached.
    pub(crate) fn clear_leftovers(&self) -> io::Result<usize> {
        match self.never {}
    }
}

impl Project {
    /// Whether the directory is held to this quota.
    ///
    /// # Errors
    /// Never reached.
    pub(crate) fn holds(&self, _directory: BorrowedHandle<'_>) -> io::Result<bool> {
        match self.never {}
    }
}
