//! How everybody learns what anybody has written.

use std::time::Duration;

use crate::base::cancel::Cancel;
use crate::model::ids::{AgentId, FunctionName};
use crate::store::error::StoreError;
use crate::store::values::Revision;

/// Something that was written or deleted; what it is now has to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The revision of the last write.
    pub revision: Revision,
    pub what: Changed,
}

/// What can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// An agent was written or deleted.
    Agent(AgentId),
    /// A function: its configuration, or which version is in force.
    Function(FunctionName),
}

/// What has changed since a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// These, in the order of their last writes; each thing once.
    These(Vec<Change>),
    /// More than is remembered: everything has to be read anew.
    Everything,
}

/// News of agents and functions, whoever wrote them.
///
/// # Errors
/// Those of every method of [`super::Store`].
pub trait ChangeStore: Send + Sync {
    /// Of the last write; to be asked before everything is read, so that nothing is missed after.
    fn revision(&self) -> Result<Revision, StoreError>;

    /// What was written after `since`.
    fn changes_since(&self, since: Revision) -> Result<Changes, StoreError>;

    /// Returns once something was written after `since`, `cancel` is pulled, or `at_most` has
    /// passed; what it was, [`ChangeStore::changes_since`] tells.
    fn await_changes(&self, since: Revision, cancel: &Cancel, at_most: Duration);
}
