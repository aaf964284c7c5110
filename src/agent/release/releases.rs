//! The releases of one agent: installed once, held by whoever runs them, removed when nobody does.
//!
//! Disk says which releases exist; the map of live ones says which are held. Both change only
//! under the map's lock, so that a release cannot be handed out while it is being removed.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use openssl::sha::Sha256;

use super::directories::{Directories, ReleaseName, names, remove_if_there, sync_tree};
use super::error::ReleaseError;
use super::grants::Readers;
use super::incoming::{Incoming, check_digest};
use crate::archive::{ArchiveLimits, extract, inspect};
use crate::base::atomic_file::FileError;
use crate::base::causes::with_causes;
use crate::base::threads::lock;
use crate::model::function::Code;
use crate::model::ids::{Digest, FunctionName};

/// Releases of a function that [`Releases::prune`] keeps beside the active one, so that a
/// rollback needs no transfer.
pub(crate) const KEPT_RELEASES: usize = 3;

/// Bytes that are hashed at once.
const HASH_BUFFER_BYTES: usize = 64 * 1024;

/// One version of one function's code, extracted. Never changes while it exists, and exists as
/// long as somebody holds it.
#[derive(Debug)]
pub struct Release {
    /// Absolute; readable to those whom [`Releases::grant`] lets into the directory above it,
    /// writable to the agent.
    pub dir: PathBuf,
    /// By its name; the first part of where it lies.
    pub function: FunctionName,
    /// Version and digest; the second part of where it lies.
    pub code: Code,
    /// The names in [`Release::dir`], in order.
    pub top_level: Vec<OsString>,
    shared: Arc<Shared>,
}

/// All releases below `apps_dir`. Cheap to clone: all clones hold and remove the same ones.
#[derive(Debug, Clone)]
pub struct Releases {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) directories: Directories,
    limits: ArchiveLimits,
    live: Mutex<HashMap<(FunctionName, ReleaseName), Live>>,
    /// Taken after `live`, if both are.
    pub(super) readers: Mutex<Readers>,
}

#[derive(Debug)]
struct Live {
    // Weak, and never upgraded under the lock only to be dropped there: the drop takes the lock.
    release: Weak<Release>,
    /// Whether its last holder removes it from the disk.
    doomed: Arc<AtomicBool>,
}

impl Releases {
    /// Makes `apps_dir` ready, with mode 0711, and clears what an earlier run left half done. Nobody
    /// but the agent may read a release until [`Releases::grant`].
    ///
    /// # Errors
    /// The system's reason.
    pub fn open(apps_dir: &Path, limits: ArchiveLimits) -> Result<Releases, ReleaseError> {
        Ok(Releases {
            shared: Arc::new(Shared {
                directories: Directories::open(apps_dir)?,
                limits,
                live: Mutex::default(),
                readers: Mutex::default(),
            }),
        })
    }

    /// Begins to receive an archive in pieces.
    ///
    /// # Errors
    /// The system's reason for not giving a file.
    pub(crate) fn receive(&self) -> Result<Incoming, ReleaseError> {
        Incoming::create(
            self.shared.directories.incoming()?,
            self.shared.limits.max_archive_bytes,
        )
    }

    /// Extracts an archive beside all other releases; durable when this returns. The same
    /// function, version and digest again gives the release that is there already.
    ///
    /// # Errors
    /// [`ReleaseError::Digest`] before anything is looked at, [`ReleaseError::Archive`] with the
    /// reason for a refusal, and what the disk says. Other releases are untouched, and nothing
    /// is left of this one.
    pub fn install(
        &self,
        function: &FunctionName,
        code: &Code,
        archive: &mut (impl Read + Seek),
    ) -> Result<Arc<Release>, ReleaseError> {
        verify(archive, &code.digest)?;
        if let Some(release) = self.reopen(function, code)? {
            return Ok(release);
        }
        let plan = inspect(&mut *archive, &self.shared.limits)?;
        let extracted = Extracted(self.shared.directories.new_incoming()?);
        extract(archive, &plan, &extracted.0)?;
        sync_tree(&extracted.0)?;
        let mut live = lock(&self.shared.live);
        // Another install of the same may have been faster.
        if let Some(release) = self.find(&mut live, function, code)? {
            drop(live);
            return checked(release, code);
        }
        let name = ReleaseName::new(code);
        let directory = self.shared.directories.release(function, &name);
        self.shared
            .directories
            .publish(&extracted.0, function, &directory)?;
        let readers = lock(&self.shared.readers);
        readers.apply(&self.shared.directories, function)?;
        drop(readers);
        Ok(self.hand_out(&mut live, function, name, code)?)
    }

    /// A release that was installed before, perhaps by an earlier run; `None` when there is none.
    ///
    /// # Errors
    /// [`ReleaseError::Conflict`], or what the disk says.
    pub(crate) fn reopen(
        &self,
        function: &FunctionName,
        code: &Code,
    ) -> Result<Option<Arc<Release>>, ReleaseError> {
        let found = self.find(&mut lock(&self.shared.live), function, code)?;
        found.map(|release| checked(release, code)).transpose()
    }

    /// Removes all releases of a function except `active` and the [`KEPT_RELEASES`] newest
    /// others. One that is held goes when its last holder lets go of it.
    ///
    /// # Errors
    /// The first thing that the disk refused; the rest is tried all the same.
    pub(crate) fn prune(
        &self,
        function: &FunctionName,
        active: Option<&Release>,
    ) -> Result<(), ReleaseError> {
        let active = active.map(|release| ReleaseName::new(&release.code));
        let mut kept = 0;
        self.remove_where(function, |name| {
            if active.as_ref() == Some(name) {
                return false;
            }
            kept += 1;
            kept > KEPT_RELEASES
        })
    }

    /// Removes all releases of a function; those that are held go when their last holder lets go.
    ///
    /// # Errors
    /// The first thing that the disk refused; the rest is tried all the same.
    pub(crate) fn remove_function(&self, function: &FunctionName) -> Result<(), ReleaseError> {
        self.remove_where(function, |_| true)
    }

    /// Asks about every release on disk, newest first.
    fn remove_where(
        &self,
        function: &FunctionName,
        mut is_unwanted: impl FnMut(&ReleaseName) -> bool,
    ) -> Result<(), ReleaseError> {
        let mut outcome = Ok(());
        let mut discarded = Vec::new();
        let mut live = lock(&self.shared.live);
        for name in self.shared.directories.list(function)?.into_iter().rev() {
            if !is_unwanted(&name) {
                continue;
            }
            let key = (function.clone(), name);
            if let Some(held) = live
                .get(&key)
                .filter(|live| live.release.strong_count() > 0)
            {
                held.doomed.store(true, Ordering::Relaxed);
                continue;
            }
            live.remove(&key);
            let directory = self.shared.directories.release(function, &key.1);
            match self.shared.directories.discard(&directory) {
                Ok(path) => discarded.push(path),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        // Under the lock, which an install holds when it counts on the directory. Does nothing
        // while there is a release.
        outcome = outcome.and(self.shared.directories.forget_function(function));
        drop(live);
        for path in discarded {
            outcome = outcome.and(remove_if_there(&path));
        }
        Ok(outcome?)
    }

    fn find(
        &self,
        live: &mut HashMap<(FunctionName, ReleaseName), Live>,
        function: &FunctionName,
        code: &Code,
    ) -> Result<Option<Arc<Release>>, FileError> {
        let name = ReleaseName::new(code);
        let key = (function.clone(), name);
        if let Some(found) = live.get(&key)
            && let Some(release) = found.release.upgrade()
        {
            found.doomed.store(false, Ordering::Relaxed);
            return Ok(Some(release));
        }
        let (_, name) = key;
        if !self.shared.directories.holds(function, &name)? {
            return Ok(None);
        }
        self.hand_out(live, function, name, code).map(Some)
    }

    fn hand_out(
        &self,
        live: &mut HashMap<(FunctionName, ReleaseName), Live>,
        function: &FunctionName,
        name: ReleaseName,
        code: &Code,
    ) -> Result<Arc<Release>, FileError> {
        let dir = self.shared.directories.release(function, &name);
        let release = Arc::new(Release {
            top_level: names(&dir)?,
            dir,
            function: function.clone(),
            code: code.clone(),
            shared: Arc::clone(&self.shared),
        });
        let entry = Live {
            release: Arc::downgrade(&release),
            doomed: Arc::default(),
        };
        live.insert((function.clone(), name), entry);
        Ok(release)
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let name = ReleaseName::new(&self.code);
        if let Err(error) = self.shared.let_go(self, name) {
            log::error!(
                "version {} of {} stays on disk: {}",
                self.code.version,
                self.function,
                with_causes(&error)
            );
        }
    }
}

impl Shared {
    /// The last holder of a release is gone.
    fn let_go(&self, release: &Release, name: ReleaseName) -> Result<(), FileError> {
        let key = (release.function.clone(), name);
        let mut live = lock(&self.live);
        // Since the count fell to zero, the same release may have been handed out anew.
        let is_ours = live
            .get(&key)
            .is_some_and(|entry| std::ptr::eq(entry.release.as_ptr(), release));
        if !is_ours {
            return Ok(());
        }
        let doomed = live
            .remove(&key)
            .is_some_and(|entry| entry.doomed.load(Ordering::Relaxed));
        if !doomed {
            return Ok(());
        }
        let discarded = self.directories.discard(&release.dir)?;
        // Under the lock, which an install holds when it counts on the function's directory.
        self.directories.forget_function(&release.function)?;
        drop(live);
        remove_if_there(&discarded)
    }
}

/// Something half extracted: gone when dropped, unless it was renamed.
struct Extracted(PathBuf);

impl Drop for Extracted {
    fn drop(&mut self) {
        if let Err(error) = remove_if_there(&self.0) {
            log::error!("something half extracted stays: {}", with_causes(&error));
        }
    }
}

/// Two archives that share version and the first digits of their digests: not by accident.
fn checked(release: Arc<Release>, code: &Code) -> Result<Arc<Release>, ReleaseError> {
    if release.code.digest == code.digest {
        return Ok(release);
    }
    Err(ReleaseError::Conflict {
        version: release.code.version,
        expected: code.digest.clone(),
        found: release.code.digest.clone(),
    })
}

fn verify(archive: &mut (impl Read + Seek), digest: &Digest) -> Result<(), ReleaseError> {
    let read = |source| ReleaseError::Transfer {
        action: "read",
        source,
    };
    archive.rewind().map_err(read)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; HASH_BUFFER_BYTES];
    loop {
        match archive.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read(error)),
        }
    }
    check_digest(hasher, digest)
}
