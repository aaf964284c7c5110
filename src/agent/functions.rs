//! What this agent holds: the functions in force, their configuration and their code.
//!
//! Owns: the switch from one version to the next. A change is on disk before it is in force, and
//! in force at once for whatever starts after it; what runs keeps the release it started with.

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::sync::{Arc, Mutex, RwLock};

use thiserror::Error;

use super::journal::{self, Journal, JournalError};
use super::release::{Access, Incoming, Release, ReleaseError, Releases};
use super::who::isolation::{Containment, IsolationRules, Unacceptable};
use super::who::users::{NoUserLeft, OwnUser};
use crate::base::causes::with_causes;
use crate::base::threads::lock;
use crate::model::function::Code;
use crate::model::function::FunctionConfig;
use crate::model::ids::FunctionName;
use crate::wire::function::{HeldFunction, ReceivedConfig};

/// One function as it is in force. Whoever runs it holds it: its user and that user's access to its
/// code last as long.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its limits and environment.
    pub config: FunctionConfig,
    /// As the control plane sent it.
    pub config_digest: String,
    /// Its code; absent before the first deploy.
    pub release: Option<Arc<Release>>,
    // Before the user, who is another function's once it is let go.
    _access: Option<Access>,
    /// How it is kept apart, or why it does not run here.
    pub containment: Result<Containment, Unacceptable>,
}

pub(crate) struct Functions {
    journal: Arc<Journal>,
    releases: Releases,
    rules: IsolationRules,
    /// One change at a time, held across extraction and journal.
    changes: Mutex<()>,
    held: RwLock<HashMap<FunctionName, Arc<Function>>>,
}

/// Why a change was refused; what was in force still is.
#[derive(Debug, Error)]
pub(crate) enum FunctionError {
    /// No such function here.
    #[error("function {0} is not known here")]
    NotFound(FunctionName),
    /// It is to have a user of its own.
    #[error(transparent)]
    NoUserLeft(#[from] NoUserLeft),
    /// The code could not be installed.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Function {
    /// Of the user that it has for itself.
    pub(crate) fn uid(&self) -> Option<u32> {
        let containment = self.containment.as_ref().ok()?;
        containment.user.as_ref().map(|user| user.uid())
    }

    /// Why it does not run here, for people; empty when it does.
    pub(crate) fn remark(&self) -> String {
        match &self.containment {
            Ok(_) => String::new(),
            Err(unacceptable) => format!("executions will be refused: {unacceptable}"),
        }
    }

    fn to_held(&self, code: Option<Code>) -> journal::HeldFunction {
        journal::HeldFunction {
            config: self.config.clone(),
            config_digest: self.config_digest.clone(),
            code,
            uid: self.uid(),
        }
    }
}

impl Functions {
    /// What the journal says, as far as its code is still there; the rest is asked for again. Every
    /// function keeps the user that it had.
    ///
    /// # Errors
    /// The journal's.
    pub(crate) fn load(
        journal: Arc<Journal>,
        releases: Releases,
        rules: IsolationRules,
    ) -> Result<Functions, JournalError> {
        let functions = Functions {
            journal,
            releases,
            rules,
            changes: Mutex::new(()),
            held: RwLock::default(),
        };
        let stored = functions.journal.list_functions()?;
        // All of the recorded users first, so that no other function takes one of them.
        let users: Vec<_> = stored
            .iter()
            .map(|stored| functions.rules.retake(stored.uid?))
            .collect();
        for (stored, user) in stored.into_iter().zip(users) {
            let name = stored.config.name.clone();
            if let Err(error) = functions.reload(stored, user) {
                log::warn!("function {name}: not loaded: {}", with_causes(&error));
            }
        }
        Ok(functions)
    }

    fn reload(
        &self,
        stored: journal::HeldFunction,
        user: Option<Arc<OwnUser>>,
    ) -> Result<(), FunctionError> {
        let name = stored.config.name.clone();
        let release = stored.code.as_ref().and_then(|code| {
            self.releases
                .reopen(&name, code)
                .inspect_err(|error| {
                    log::warn!(
                        "function {name}: its code is not usable: {}",
                        with_causes(&error)
                    );
                })
                .ok()
                .flatten()
        });
        let received = ReceivedConfig {
            config: stored.config,
            config_digest: stored.config_digest,
        };
        let function = self.contain(received, release, user)?;
        if function.uid() != stored.uid {
            self.journal.put_function(&function.to_held(stored.code))?;
        }
        self.write().insert(name, Arc::new(function));
        Ok(())
    }

    /// A function as it is now.
    pub(crate) fn get(&self, name: &FunctionName) -> Option<Arc<Function>> {
        self.read().get(name).cloned()
    }

    /// Everything held, by name.
    pub(crate) fn list(&self) -> Vec<HeldFunction> {
        let mut held: Vec<_> = self
            .read()
            .values()
            .map(|function| HeldFunction {
                name: function.config.name.clone(),
                config_digest: function.config_digest.clone(),
                code: function
                    .release
                    .as_ref()
                    .map(|release| release.code.clone()),
            })
            .collect();
        held.sort_by(|a, b| a.name.cmp(&b.name));
        held
    }

    /// Puts a configuration in force; the code stays.
    ///
    /// # Errors
    /// No user is left; the journal's.
    pub(crate) fn register(
        &self,
        received: ReceivedConfig,
    ) -> Result<Arc<Function>, FunctionError> {
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
    /// An unknown function without a configuration; no user is left; the archive's; the journal's.
    pub(crate) fn install(
        &self,
        name: &FunctionName,
        code: &Code,
        config: Option<ReceivedConfig>,
        archive: &mut (impl Read + Seek),
    ) -> Result<Arc<Function>, FunctionError> {
        let _changes = lock(&self.changes);
        let config = match (config, self.get(name)) {
            (Some(config), _) => config,
            (None, Some(function)) => ReceivedConfig {
                config: function.config.clone(),
                config_digest: function.config_digest.clone(),
            },
            (None, None) => return Err(FunctionError::NotFound(name.clone())),
        };
        let code = Code {
            version: match code.version {
                0 => self.next_version(name),
                version => version,
            },
            digest: code.digest.clone(),
        };
        let release = self.releases.install(name, &code, archive)?;
        let function = self.put_in_force(config, Some(Arc::clone(&release)))?;
        if let Err(error) = self.releases.prune(name, Some(&release)) {
            log::warn!(
                "function {name}: old releases stay: {}",
                with_causes(&error)
            );
        }
        log::info!("function {name}: version {} is in force", code.version);
        Ok(function)
    }

    /// Forgets a function; what runs of it keeps its code until it ends.
    ///
    /// # Errors
    /// The journal's.
    pub(crate) fn remove(&self, name: &FunctionName) -> Result<bool, FunctionError> {
        let _changes = lock(&self.changes);
        let known = self.journal.remove_function(name)?;
        let _before = self.write().remove(name);
        if let Err(error) = self.releases.remove_function(name) {
            log::warn!(
                "function {name}: its releases stay on disk: {}",
                with_causes(&error)
            );
        }
        Ok(known)
    }

    /// A file to receive an archive into.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn receive(&self) -> Result<Incoming, FunctionError> {
        Ok(self.releases.receive()?)
    }

    fn put_in_force(
        &self,
        received: ReceivedConfig,
        release: Option<Arc<Release>>,
    ) -> Result<Arc<Function>, FunctionError> {
        let before = self.get(&received.config.name);
        let user = before.and_then(|before| before.containment.as_ref().ok()?.user.clone());
        let function = Arc::new(self.contain(received, release, user)?);
        let code = function
            .release
            .as_ref()
            .map(|release| release.code.clone());
        self.journal.put_function(&function.to_held(code))?;
        let name = function.config.name.clone();
        // Let go outside of the lock: the last one of the old configuration closes its access.
        let _before = self.write().insert(name, Arc::clone(&function));
        Ok(function)
    }

    /// Decides how it is kept apart, and opens its code to its user.
    fn contain(
        &self,
        received: ReceivedConfig,
        release: Option<Arc<Release>>,
        user: Option<Arc<OwnUser>>,
    ) -> Result<Function, FunctionError> {
        let ReceivedConfig {
            config,
            config_digest,
        } = received;
        let name = &config.name;
        let containment = match self.rules.decide(&config.isolation) {
            Ok(isolation) => Ok(self.rules.contain(name, isolation, user)?),
            Err(unacceptable) => {
                log::warn!("function {name} does not run here: {unacceptable}");
                Err(unacceptable)
            }
        };
        let identity = containment.as_ref().ok().and_then(|it| it.identity);
        let access = identity
            .map(|identity| self.releases.grant(name, identity.uid))
            .transpose()?;
        Ok(Function {
            config,
            config_digest,
            release,
            _access: access,
            containment,
        })
    }

    /// For a control plane that does not count versions.
    fn next_version(&self, name: &FunctionName) -> u64 {
        self.get(name)
            .and_then(|function| Some(function.release.as_ref()?.code.version + 1))
            .unwrap_or(1)
    }

    /// How functions are kept apart here.
    pub(crate) fn rules(&self) -> &IsolationRules {
        &self.rules
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

#[cfg(test)]
#[path = "functions_tests.rs"]
mod tests;
