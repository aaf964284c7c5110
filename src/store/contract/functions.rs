//! What a store does with functions and their versions.

use crate::base::clock::Timestamp;
use crate::model::function::{Function, FunctionConfig, Version};
use crate::model::ids::FunctionName;
use crate::store::archives::StoredArchive;
use crate::store::error::StoreError;
use crate::store::values::{Revision, Stored};

/// How many versions are kept besides the active one: those that were active last, so that a
/// deploy that turns out badly can be taken back also after an earlier rollback.
pub const KEPT_VERSIONS: u32 = 3;

/// Functions, their configurations, and the versions of their code.
///
/// # Errors
/// Those of every method of [`super::Store`].
pub trait FunctionStore: Send + Sync {
    /// Registers a function or replaces its configuration; its versions and `created_at` stay.
    /// An equal configuration changes nothing, `updated_at` and revision included.
    fn put_function(
        &self,
        config: &FunctionConfig,
        now: Timestamp,
    ) -> Result<Stored<Function>, StoreError>;

    /// The function of that name.
    fn get_function(&self, name: &FunctionName) -> Result<Option<Stored<Function>>, StoreError>;

    /// All functions, by name.
    fn list_functions(&self) -> Result<Vec<Stored<Function>>, StoreError>;

    /// Forgets a function and its versions; the revision of that, unless there was none.
    fn delete_function(&self, name: &FunctionName) -> Result<Option<Revision>, StoreError>;

    /// Makes a stored archive the function's next version and activates it. Numbers count up
    /// from 1 and are never used twice while the function exists. Beyond the active version and
    /// [`KEPT_VERSIONS`] others, the one whose activation is longest ago goes. An archive that
    /// is active already makes no new version.
    ///
    /// # Errors
    /// [`StoreError::FunctionNotFound`], [`StoreError::ArchiveMissing`].
    fn add_version(
        &self,
        name: &FunctionName,
        archive: &StoredArchive,
        now: Timestamp,
    ) -> Result<Stored<Function>, StoreError>;

    /// The kept versions, newest first; empty also for an unknown function.
    fn list_versions(&self, name: &FunctionName) -> Result<Vec<Version>, StoreError>;

    /// Puts a kept version in force.
    ///
    /// # Errors
    /// [`StoreError::FunctionNotFound`], [`StoreError::VersionNotKept`].
    fn activate_version(
        &self,
        name: &FunctionName,
        number: u64,
        now: Timestamp,
    ) -> Result<Stored<Function>, StoreError>;
}
