//! What a store does with agents.

use crate::model::agent::Agent;
use crate::model::ids::AgentId;
use crate::store::error::StoreError;
use crate::store::values::{Revision, Stored};

/// The agents of the fleet, each written only by whoever has seen its present state.
///
/// # Errors
/// Those of every method of [`super::Store`].
pub trait AgentStore: Send + Sync {
    /// Writes an agent if it still is what the writer has seen: at revision `expected`, or
    /// absent for `None`. A late write therefore neither undoes a newer one nor brings a deleted
    /// agent back.
    ///
    /// # Errors
    /// [`StoreError::Conflict`].
    fn put_agent(&self, agent: &Agent, expected: Option<Revision>) -> Result<Revision, StoreError>;

    /// The agent of that id.
    fn get_agent(&self, id: &AgentId) -> Result<Option<Stored<Agent>>, StoreError>;

    /// All agents, by id.
    fn list_agents(&self) -> Result<Vec<Stored<Agent>>, StoreError>;

    /// Deletes an agent if it still is at revision `expected`; the revision of that.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], also when it is gone already.
    fn delete_agent(&self, id: &AgentId, expected: Revision) -> Result<Revision, StoreError>;
}
