//! Functions as clients change them: the desired state is changed first, and then brought to the
//! agents that can be reached.

use std::sync::Arc;

use super::desired::{Desired, FunctionError};
use super::sync::{AgentOutcome, Syncer};
use crate::model::function::{Function, FunctionConfig, Version};
use crate::model::ids::FunctionName;
use crate::store::ArchiveUpload;

pub(crate) struct Functions {
    desired: Arc<Desired>,
    syncer: Arc<Syncer>,
}

/// A change that is stored, and what happened to it on each agent.
#[derive(Debug)]
pub(crate) struct Distributed {
    /// The function now.
    pub function: Function,
    pub agents: Vec<AgentOutcome>,
}

/// The kept versions of a function.
#[derive(Debug)]
pub(crate) struct Versions {
    pub function: Function,
    /// Newest first.
    pub versions: Vec<Version>,
}

impl Functions {
    pub(crate) fn new(desired: Arc<Desired>, syncer: Arc<Syncer>) -> Functions {
        Functions { desired, syncer }
    }

    /// All functions, by name.
    pub(crate) fn list(&self) -> Vec<Function> {
        self.desired.list()
    }

    /// One function.
    ///
    /// # Errors
    /// [`FunctionError::NotFound`].
    pub(crate) fn get(&self, name: &FunctionName) -> Result<Function, FunctionError> {
        self.desired.get(name)
    }

    /// The kept versions of one.
    ///
    /// # Errors
    /// An unknown function, the store's.
    pub(crate) fn versions(&self, name: &FunctionName) -> Result<Versions, FunctionError> {
        let (function, versions) = self.desired.versions(name)?;
        Ok(Versions { function, versions })
    }

    /// Registers a function, or replaces its configuration; its code stays.
    ///
    /// # Errors
    /// See [`FunctionError`]; nothing has changed then.
    pub(crate) fn register(&self, config: &FunctionConfig) -> Result<Distributed, FunctionError> {
        self.desired
            .register(config)
            .map(|function| self.distribute(function))
    }

    /// A place to stream an archive for `name` into, before its bytes have come.
    ///
    /// # Errors
    /// An unknown function; the store's.
    pub(crate) fn start_upload(&self, name: &FunctionName) -> Result<ArchiveUpload, FunctionError> {
        self.desired.get(name)?;
        Ok(self.desired.start_upload()?)
    }

    /// How large an archive may be, in bytes.
    pub(crate) fn archive_limit(&self) -> u64 {
        self.desired.archive_limit()
    }

    /// Makes an uploaded archive the function's new version.
    ///
    /// # Errors
    /// See [`FunctionError`]; nothing has changed then.
    pub(crate) fn deploy(
        &self,
        name: &FunctionName,
        upload: ArchiveUpload,
    ) -> Result<Distributed, FunctionError> {
        self.desired
            .deploy(name, upload)
            .map(|function| self.distribute(function))
    }

    /// Makes a kept version active again: the given one, or the newest that is older than the
    /// active one.
    ///
    /// # Errors
    /// See [`FunctionError`]; nothing has changed then.
    pub(crate) fn rollback(
        &self,
        name: &FunctionName,
        version: Option<u64>,
    ) -> Result<Distributed, FunctionError> {
        self.desired
            .rollback(name, version)
            .map(|function| self.distribute(function))
    }

    /// Forgets a function with all its versions, here and on every agent.
    ///
    /// # Errors
    /// See [`FunctionError`]; nothing has changed then.
    pub(crate) fn delete(&self, name: &FunctionName) -> Result<(), FunctionError> {
        self.desired.delete(name)?;
        self.syncer.distribute(name);
        Ok(())
    }

    fn distribute(&self, function: Function) -> Distributed {
        let agents = self.syncer.distribute(&function.config.name);
        Distributed { function, agents }
    }
}
