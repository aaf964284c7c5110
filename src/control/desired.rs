//! The desired state: functions, their versions and archives. Stored first, true after.
//!
//! Owns: the in-memory copy that reads are answered from, and the fleet's notion of what is
//! current. Refuses: talking to agents; `control::sync` brings them what stands here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use thiserror::Error;

use super::fleet::{Current, Fleet};
use crate::archive::{self, ArchiveError, ArchiveLimits};
use crate::base::clock::Clock;
use crate::base::threads::lock;
use crate::model::function::{Function, FunctionConfig, Version};
use crate::model::ids::{Digest, FunctionName};
use crate::store::{ArchiveReader, ArchiveUpload, Store, StoreError, Stored};
use crate::wire::function::config_digest;

/// Functions at the most: each costs memory in the control plane and on every agent.
pub(crate) const MAX_FUNCTIONS: usize = 20_000;

pub(crate) struct Desired {
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    clock: Clock,
    limits: ArchiveLimits,
    /// One change at a time, held across the store's write.
    changes: Mutex<()>,
    known: RwLock<BTreeMap<FunctionName, Stored<Function>>>,
    generation: AtomicU64,
}

/// Why a change of a function was refused. Nothing has changed then.
#[derive(Debug, Error)]
pub(crate) enum FunctionError {
    /// No such function.
    #[error("no function {0}")]
    NotFound(FunctionName),
    /// It has no such version, or not any more.
    #[error("function {name} has no version {number}; kept are {kept:?}")]
    NoVersion {
        name: FunctionName,
        /// What was asked for.
        number: u64,
        kept: Vec<u64>,
    },
    /// There is nothing older to go back to.
    #[error("function {0} has no earlier version")]
    NoEarlierVersion(FunctionName),
    /// The archive is not acceptable.
    #[error("the archive cannot be deployed")]
    Archive(#[from] ArchiveError),
    /// The archive lacks what the function runs.
    #[error("the archive of {name} holds no file {handler}")]
    HandlerMissing { name: FunctionName, handler: String },
    /// There are [`MAX_FUNCTIONS`].
    #[error("{MAX_FUNCTIONS} functions are registered already")]
    TooMany,
    /// The store failed.
    #[error("the function cannot be looked up or stored")]
    Store(#[from] StoreError),
}

impl Desired {
    /// Reads all functions and tells the fleet what is current.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn load(
        store: Arc<dyn Store>,
        fleet: Arc<Fleet>,
        clock: Clock,
        limits: ArchiveLimits,
    ) -> Result<Desired, StoreError> {
        let mut known = BTreeMap::new();
        for stored in store.list_functions()? {
            let name = &stored.value.config.name;
            fleet.set_current(name, Some(current(&stored.value)));
            known.insert(name.clone(), stored);
        }
        Ok(Desired {
            store,
            fleet,
            clock,
            limits,
            changes: Mutex::new(()),
            known: RwLock::new(known),
            generation: AtomicU64::new(0),
        })
    }

    /// Changes with every change of any function.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// All functions, by name.
    pub(crate) fn list(&self) -> Vec<Function> {
        let known = self.read();
        known.values().map(|stored| stored.value.clone()).collect()
    }

    /// One function.
    ///
    /// # Errors
    /// [`FunctionError::NotFound`].
    pub(crate) fn get(&self, name: &FunctionName) -> Result<Function, FunctionError> {
        self.read()
            .get(name)
            .map(|stored| stored.value.clone())
            .ok_or_else(|| FunctionError::NotFound(name.clone()))
    }

    /// What agents should hold of a function; `None` = nothing.
    pub(crate) fn desired(&self, name: &FunctionName) -> Option<Current> {
        self.read().get(name).map(|stored| current(&stored.value))
    }

    /// The kept versions, newest first.
    ///
    /// # Errors
    /// An unknown function, the store's.
    pub(crate) fn versions(
        &self,
        name: &FunctionName,
    ) -> Result<(Function, Vec<Version>), FunctionError> {
        let function = self.get(name)?;
        Ok((function, self.store.list_versions(name)?))
    }

    /// The bytes of an archive.
    ///
    /// # Errors
    /// The store's, also when the archive is gone.
    pub(crate) fn archive(&self, digest: &Digest) -> Result<Option<ArchiveReader>, StoreError> {
        self.store.open_archive(digest)
    }

    /// Registers a function, or replaces its configuration; its code stays.
    ///
    /// # Errors
    /// See [`FunctionError`].
    pub(crate) fn register(&self, config: &FunctionConfig) -> Result<Function, FunctionError> {
        let _changes = lock(&self.changes);
        {
            let known = self.read();
            if known.len() >= MAX_FUNCTIONS && !known.contains_key(&config.name) {
                return Err(FunctionError::TooMany);
            }
        }
        let function = self.store.put_function(config, self.clock.now())?;
        Ok(self.publish(function))
    }

    /// A place to stream an archive into.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn start_upload(&self) -> Result<ArchiveUpload, StoreError> {
        self.store.archive_scratch()
    }

    /// How large an archive may be, in bytes.
    pub(crate) fn archive_limit(&self) -> u64 {
        self.limits.max_archive_bytes
    }

    /// Makes an uploaded archive the function's new version, once it is known to be sound and to
    /// hold the function's handler. The archive that is active already makes no new version.
    ///
    /// # Errors
    /// See [`FunctionError`].
    pub(crate) fn deploy(
        &self,
        name: &FunctionName,
        upload: ArchiveUpload,
    ) -> Result<Function, FunctionError> {
        let plan = archive::inspect(upload.reader().map_err(ArchiveError::Read)?, &self.limits)?;
        // Sizes and checksums of the contents too: stored with a wrong one, it would be current
        // and refused by every agent.
        archive::verify(upload.reader().map_err(ArchiveError::Read)?, &plan)?;
        let _changes = lock(&self.changes);
        let config = self.get(name)?.config;
        if !plan.contains_file(config.handler.as_str()) {
            return Err(FunctionError::HandlerMissing {
                name: name.clone(),
                handler: config.handler.as_str().to_owned(),
            });
        }
        let archive = self.store.put_archive(upload, None)?;
        let function = self.store.add_version(name, &archive, self.clock.now())?;
        Ok(self.publish(function))
    }

    /// Makes a kept version active again: the given one, or the newest that is older than the
    /// active one.
    ///
    /// # Errors
    /// See [`FunctionError`].
    pub(crate) fn rollback(
        &self,
        name: &FunctionName,
        number: Option<u64>,
    ) -> Result<Function, FunctionError> {
        let _changes = lock(&self.changes);
        let (function, versions) = self.versions(name)?;
        let number = match (number, &function.active) {
            (Some(number), _) => number,
            (None, Some(active)) => versions
                .iter()
                .map(|version| version.number)
                .filter(|&number| number < active.number)
                .max()
                .ok_or_else(|| FunctionError::NoEarlierVersion(name.clone()))?,
            (None, None) => return Err(FunctionError::NoEarlierVersion(name.clone())),
        };
        if !versions.iter().any(|version| version.number == number) {
            return Err(FunctionError::NoVersion {
                name: name.clone(),
                number,
                kept: versions.iter().map(|version| version.number).collect(),
            });
        }
        let function = self
            .store
            .activate_version(name, number, self.clock.now())?;
        Ok(self.publish(function))
    }

    /// Forgets a function with all its versions.
    ///
    /// # Errors
    /// See [`FunctionError`].
    pub(crate) fn delete(&self, name: &FunctionName) -> Result<(), FunctionError> {
        let _changes = lock(&self.changes);
        if self.store.delete_function(name)?.is_none() {
            return Err(FunctionError::NotFound(name.clone()));
        }
        self.withdraw(name);
        Ok(())
    }

    /// Takes over what the store says of a function now, whoever wrote it; whether that was news.
    ///
    /// # Errors
    /// The store's; nothing has changed then.
    pub(crate) fn refresh(&self, name: &FunctionName) -> Result<bool, StoreError> {
        let _changes = lock(&self.changes);
        let stored = self.store.get_function(name)?;
        let known = self.read().get(name).map(|known| known.revision);
        match stored {
            Some(stored) if known == Some(stored.revision) => return Ok(false),
            None if known.is_none() => return Ok(false),
            Some(stored) => drop(self.publish(stored)),
            None => self.withdraw(name),
        }
        Ok(true)
    }

    fn publish(&self, stored: Stored<Function>) -> Function {
        let function = stored.value.clone();
        let name = &function.config.name;
        self.write().insert(name.clone(), stored);
        self.fleet.set_current(name, Some(current(&function)));
        self.generation.fetch_add(1, Ordering::AcqRel);
        function
    }

    fn withdraw(&self, name: &FunctionName) {
        self.write().remove(name);
        self.fleet.set_current(name, None);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<FunctionName, Stored<Function>>> {
        self.known
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<FunctionName, Stored<Function>>> {
        self.known
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn current(function: &Function) -> Current {
    Current {
        config_digest: config_digest(&function.config).to_string(),
        config: function.config.clone(),
        code: function.active.as_ref().map(Version::code),
    }
}
