//! Which users are let into the directories of functions, and for how long: as long as somebody holds
//! an [`Access`].
//!
//! Invariant: a directory's permissions follow under the lock of the readers, so that they are never
//! those of an earlier moment.

use std::collections::HashMap;
use std::sync::Arc;

use super::directories::Directories;
use super::error::ReleaseError;
use super::releases::{Releases, Shared};
use crate::base::atomic_file::FileError;
use crate::base::causes::with_causes;
use crate::base::threads::lock;
use crate::model::ids::FunctionName;

/// Lets a user read the releases of a function, those of now and those to come, until it is dropped.
#[derive(Debug)]
pub struct Access {
    function: FunctionName,
    uid: u32,
    shared: Arc<Shared>,
}

/// Who may read, by function; once for each [`Access`].
#[derive(Debug, Default)]
pub(super) struct Readers(HashMap<FunctionName, Vec<u32>>);

impl Releases {
    /// Lets a user read a function's releases, in force when this returns. To be held by whoever
    /// runs them as that user: a function that changes its user has two for a while.
    ///
    /// # Errors
    /// The system's reason; nothing is granted then.
    pub fn grant(&self, function: &FunctionName, uid: u32) -> Result<Access, ReleaseError> {
        let mut readers = lock(&self.shared.readers);
        readers.add(function, uid);
        // From here on its drop takes it back; which waits for the lock.
        let access = Access {
            function: function.clone(),
            uid,
            shared: Arc::clone(&self.shared),
        };
        let applied = readers.apply(&self.shared.directories, function);
        drop(readers);
        applied?;
        Ok(access)
    }
}

impl Readers {
    /// Makes the function's directory what it is to be, if it is there.
    pub(super) fn apply(
        &self,
        directories: &Directories,
        function: &FunctionName,
    ) -> Result<(), FileError> {
        let mut uids = self.0.get(function).cloned().unwrap_or_default();
        uids.sort_unstable();
        uids.dedup();
        directories.grant(function, &uids)
    }

    fn add(&mut self, function: &FunctionName, uid: u32) {
        self.0.entry(function.clone()).or_default().push(uid);
    }

    fn remove(&mut self, function: &FunctionName, uid: u32) {
        let Some(uids) = self.0.get_mut(function) else {
            return;
        };
        if let Some(index) = uids.iter().position(|reader| *reader == uid) {
            uids.swap_remove(index);
        }
        if uids.is_empty() {
            self.0.remove(function);
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let mut readers = lock(&self.shared.readers);
        readers.remove(&self.function, self.uid);
        if let Err(error) = readers.apply(&self.shared.directories, &self.function) {
            let (function, uid) = (&self.function, self.uid);
            log::error!(
                "user {uid} may still read {function}: {}",
                with_causes(&error)
            );
        }
    }
}
