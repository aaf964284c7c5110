//! What this agent holds: the functions in force, their configuration and their code.
//!
//! Owns: the switch from one version to the next. A change is on disk before it is in force, and
//! in force at once for whatever starts after it; what runs keeps the release it started with.

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::sync::{Arc, Mutex, RwLock};

use thiserror::Error;

use super::journal::{self, HeldCode, Journal, JournalError};
use super::release::{Incoming, Release, ReleaseError, Releases};
use crate::base::threads::lock;
use crate::model::function::FunctionConfig;
use crate::model::ids::{Digest, FunctionName};
use crate::wire::function::{HeldFunction, ReceivedConfig};

/// One function as it is in force.
#[derive(Debug)]
pub struct Function {
    /// Its limits and environment.
    pub config: FunctionConfig,
    /// As the control plane sent it.
    pub config_digest: String,
    /// Its code; absent before the first deploy.
    pub release: Option<Arc<Release>>,
}

/// See the module's text.
pub struct Functions {
    journal: Arc<Journal>,
    releases: Releases,
    /// One change at a time, held across extraction and journal.
    changes: Mutex<()>,
    held: RwLock<HashMap<FunctionName, Arc<Function>>>,
}

/// Why a change was refused; what was in force still is.
#[derive(Debug, Error)]
pub enum FunctionError {
    /// No such function here.
    #[error("function {0} is not known here")]
    NotFound(FunctionName),
    /// The code could not be installed.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Functions {
    /// What the journal says, as far as its code is still there; the rest is asked for again.
    ///
    /// # Errors
    /// The journal's.
    pub fn load(journal: Arc<Journal>, releases: Releases) -> Result<Functions, JournalError> {
        let mut held = HashMap::new();
        for stored in journal.list_functions()? {
            let name = stored.config.name.clone();
            let release = stored.code.as_ref().and_then(|code| {
                releases
                    .reopen(&name, code.version, &code.digest)
                    .inspect_err(|error| {
                        log::warn!("function {name}: its code is not usable: {error}");
                    })
                    .ok()
                    .flatten()
            });
            held.insert(
                name,
                Arc::new(Function {
                    config: stored.config,
                    config_digest: stored.config_digest,
                    release,
                }),
            );
        }
        Ok(Functions {
            journal,
            releases,
            changes: Mutex::new(()),
            held: RwLock::new(held),
        })
    }

    /// A function as it is now.
    pub fn get(&self, name: &FunctionName) -> Option<Arc<Function>> {
        self.read().get(name).cloned()
    }

    /// Everything held, by name.
    pub fn list(&self) -> Vec<HeldFunction> {
        let mut held: Vec<_> = self
            .read()
            .values()
            .map(|function| HeldFunction {
                name: function.config.name.clone(),
                config_digest: function.config_digest.clone(),
                code: function
                    .release
                    .as_ref()
                    .map(|release| (release.version, release.digest.clone())),
            })
            .collect();
        held.sort_by(|a, b| a.name.cmp(&b.name));
        held
    }

    /// Puts a configuration in force; the code stays.
    ///
    /// # Errors
    /// The journal's.
    pub fn register(&self, received: ReceivedConfig) -> Result<(), FunctionError> {
        let _changes = lock(&self.changes);
        let release = self
            .get(&received.config.name)
            .and_then(|function| function.release.clone());
        self.put_in_force(received, release)
    }

    /// Installs an archive and puts it in force, with the configuration that came with it or the
    /// one that is in force.
    ///
    /// # Errors
    /// An unknown function without a configuration; the archive's; the journal's.
    pub fn install(
        &self,
        name: &FunctionName,
        version: u64,
        digest: &Digest,
        config: Option<ReceivedConfig>,
        archive: &mut (impl Read + Seek),
    ) -> Result<(), FunctionError> {
        let _changes = lock(&self.changes);
        let config = match (config, self.get(name)) {
            (Some(config), _) => config,
            (None, Some(function)) => ReceivedConfig {
                config: function.config.clone(),
                config_digest: function.config_digest.clone(),
            },
            (None, None) => return Err(FunctionError::NotFound(name.clone())),
        };
        let version = if version == 0 {
            self.next_version(name)
        } else {
            version
        };
        let release = self.releases.install(name, version, digest, archive)?;
        self.put_in_force(config, Some(Arc::clone(&release)))?;
        if let Err(error) = self.releases.prune(name, Some(&release)) {
            log::warn!("function {name}: old releases stay: {error}");
        }
        log::info!("function {name}: version {version} is in force");
        Ok(())
    }

    /// Forgets a function; what runs of it keeps its code until it ends.
    ///
    /// # Errors
    /// The journal's.
    pub fn remove(&self, name: &FunctionName) -> Result<bool, FunctionError> {
        let _changes = lock(&self.changes);
        let known = self.journal.remove_function(name)?;
        self.write().remove(name);
        if let Err(error) = self.releases.remove_function(name) {
            log::warn!("function {name}: its releases stay on disk: {error}");
        }
        Ok(known)
    }

    /// A file to receive an archive into.
    ///
    /// # Errors
    /// The disk's.
    pub fn receive(&self) -> Result<Incoming, FunctionError> {
        Ok(self.releases.receive()?)
    }

    fn put_in_force(
        &self,
        received: ReceivedConfig,
        release: Option<Arc<Release>>,
    ) -> Result<(), FunctionError> {
        let function = Function {
            config: received.config,
            config_digest: received.config_digest,
            release,
        };
        self.journal.put_function(&journal::HeldFunction {
            config: function.config.clone(),
            config_digest: function.config_digest.clone(),
            code: function.release.as_ref().map(|release| HeldCode {
                version: release.version,
                digest: release.digest.clone(),
            }),
        })?;
        self.write()
            .insert(function.config.name.clone(), Arc::new(function));
        Ok(())
    }

    /// For a control plane that does not count versions.
    fn next_version(&self, name: &FunctionName) -> u64 {
        self.get(name)
            .and_then(|function| Some(function.release.as_ref()?.version + 1))
            .unwrap_or(1)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<FunctionName, Arc<Function>>> {
        self.held
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<FunctionName, Arc<Function>>> {
        self.held
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
