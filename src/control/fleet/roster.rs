//! Which agents there are and where each stands: the fleet's one owner, through which every change of
//! an agent goes.
//!
//! What agents hold is in `holdings`, what runs on them and waits for them in `slots`; both change the
//! same state under the same lock.

use std::sync::{Arc, Mutex, MutexGuard};

use thiserror::Error;

use super::entry::{AgentView, Entry, stored_state};
use super::queue::QueueLimits;
use super::state::State;
use crate::base::clock::Clock;
use crate::base::threads::lock;
use crate::model::agent::{Agent, AgentEvent, AgentState, IllegalTransition};
use crate::model::ids::AgentId;
use crate::model::resources::NodeStatus;
use crate::store::{Store, StoreError, Stored};
use crate::wire::node::NodeReport;

/// All agents, with what they hold and what runs there.
pub(crate) struct Fleet {
    store: Arc<dyn Store>,
    clock: Clock,
    limits: QueueLimits,
    /// Held across the store's write and the change in memory, so that changes that are stored
    /// happen one after the other; never taken on the way of an execution.
    changes: Mutex<()>,
    state: Mutex<State>,
}

/// What somebody else's change of an agent came to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// It was known already.
    Nothing,
    /// The agent is new, or stands elsewhere.
    Changed,
    /// The agent is gone.
    Removed,
}

/// Why a change of the fleet was refused.
#[derive(Debug, Error)]
pub(crate) enum FleetError {
    /// No such agent.
    #[error("no agent {0}")]
    UnknownAgent(AgentId),
    /// The id is taken by an agent at another address.
    #[error("agent {id} is registered at {address}")]
    AddressConflict {
        id: AgentId,
        /// Where the registered one is.
        address: String,
    },
    /// The state forbids it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// The store could not be asked or written; nothing changed.
    #[error("the agent could not be stored")]
    Store(#[source] StoreError),
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}

impl Fleet {
    /// Reads the agents from the store. Those that were reachable count as offline until they
    /// answer.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn load(
        store: Arc<dyn Store>,
        clock: Clock,
        limits: QueueLimits,
    ) -> Result<Arc<Fleet>, StoreError> {
        let mut state = State::default();
        for stored in store.list_agents()? {
            let entry = Entry::new(stored);
            state.agents.insert(entry.agent.id.clone(), entry);
        }
        Ok(Arc::new(Fleet {
            store,
            clock,
            limits,
            changes: Mutex::new(()),
            state: Mutex::new(state),
        }))
    }

    /// All agents, by id.
    pub(crate) fn list(&self) -> Vec<AgentView> {
        self.state().agents.values().map(Entry::view).collect()
    }

    pub(crate) fn get(&self, id: &AgentId) -> Option<AgentView> {
        self.state().agents.get(id).map(Entry::view)
    }

    /// Adds an agent that answered at `address`. The same agent again is no change.
    ///
    /// # Errors
    /// [`FleetError::AddressConflict`], or the store's.
    pub(crate) fn register(
        &self,
        id: &AgentId,
        address: &str,
        tls: bool,
        node: NodeStatus,
    ) -> Result<AgentView, FleetError> {
        let _changes = lock(&self.changes);
        if let Some(known) = self.get(id) {
            if known.agent.address != address || known.agent.tls != tls {
                return Err(FleetError::AddressConflict {
                    id: id.clone(),
                    address: known.agent.address,
                });
            }
            return Ok(known);
        }
        let agent = Agent {
            id: id.clone(),
            address: address.to_owned(),
            tls,
            state: AgentState::Offline,
            machine: None,
            registered_at: self.clock.now(),
        };
        let revision = self
            .store
            .put_agent(&agent, None)
            .map_err(FleetError::Store)?;
        let mut entry = Entry::new(Stored {
            value: agent,
            revision,
        });
        entry.contact.node = Some(node);
        let view = entry.view();
        self.state().agents.insert(id.clone(), entry);
        Ok(view)
    }

    /// Takes over what the store says of an agent now, whoever wrote it.
    ///
    /// # Errors
    /// The store's; nothing has changed then.
    pub(crate) fn refresh(&self, id: &AgentId) -> Result<Refreshed, StoreError> {
        let _changes = lock(&self.changes);
        let stored = self.store.get_agent(id)?;
        let mut state = self.state();
        let refreshed = match (stored, state.agents.get_mut(id)) {
            (None, None) => Refreshed::Nothing,
            (Some(stored), Some(entry)) if entry.revision == stored.revision => Refreshed::Nothing,
            (Some(stored), Some(entry)) if entry.is_same(&stored.value) => {
                entry.revision = stored.revision;
                entry.agent.state = entry.agent.state.after_decision(stored.value.state);
                Refreshed::Changed
            }
            (Some(stored), _) => {
                state.agents.insert(id.clone(), Entry::new(stored));
                Refreshed::Changed
            }
            (None, Some(_)) => {
                state.agents.remove(id);
                Refreshed::Removed
            }
        };
        state.serve_waiters();
        Ok(refreshed)
    }

    /// Applies `event` by the transition table; what must survive a restart is stored first.
    ///
    /// # Errors
    /// An unknown agent, an illegal transition, the store's. Nothing has changed then.
    pub(crate) fn transition(
        &self,
        id: &AgentId,
        event: AgentEvent,
    ) -> Result<AgentState, FleetError> {
        let _changes = lock(&self.changes);
        let (mut agent, revision) = {
            let state = self.state();
            let entry = state
                .agents
                .get(id)
                .ok_or_else(|| FleetError::UnknownAgent(id.clone()))?;
            (entry.agent.clone(), entry.revision)
        };
        let before = agent.state;
        agent.state = before.on(event)?;
        if agent.state == AgentState::Gone {
            self.store
                .delete_agent(id, revision)
                .map_err(FleetError::Store)?;
        } else if stored_state(agent.state) != stored_state(before) {
            let stored = Agent {
                state: stored_state(agent.state),
                ..agent.clone()
            };
            let revision = self
                .store
                .put_agent(&stored, Some(revision))
                .map_err(FleetError::Store)?;
            self.with_entry(id, |entry| entry.revision = revision);
        }
        self.apply(&agent, before);
        Ok(agent.state)
    }

    /// A probe of `agent` was answered. Says whether the agent process is another than at the
    /// last one, in which case nothing is known of what it holds and runs. `None`: the fleet has
    /// no such agent any more, and a late answer brings none back.
    pub(crate) fn record_answer(&self, agent: &Agent, report: NodeReport) -> Option<bool> {
        let mut state = self.state();
        let entry = state
            .agents
            .get_mut(&agent.id)
            .filter(|entry| entry.is_same(agent))?;
        entry.contact.last_heartbeat = Some(report.status.collected_at);
        entry.contact.misses = 0;
        entry.contact.node = Some(report.status);
        entry.contact.isolation = report.isolation;
        entry.contact.isolation_missing = report.isolation_missing;
        entry.set_draining(report.draining);
        // A legacy agent does not say; whether it restarted shows when it went away meanwhile.
        let boot_id = report.boot_id.filter(|boot_id| entry.boot_id != *boot_id);
        let restarted = boot_id.is_some();
        if let Some(boot_id) = boot_id {
            entry.boot_id = boot_id;
            entry.held.clear();
        }
        state.serve_waiters();
        Some(restarted)
    }

    /// Whether the fleet still has this agent, at this address and since this registration.
    pub(crate) fn has(&self, agent: &Agent) -> bool {
        self.state()
            .agents
            .get(&agent.id)
            .is_some_and(|entry| entry.is_same(agent))
    }

    /// A probe was not answered; returns how many in a row were not.
    pub(crate) fn record_miss(&self, id: &AgentId) -> u32 {
        self.with_entry(id, |entry| {
            entry.contact.misses = entry.contact.misses.saturating_add(1);
            entry.contact.misses
        })
        .unwrap_or(0)
    }

    /// How many may wait for room.
    pub(super) fn limits(&self) -> QueueLimits {
        self.limits
    }

    /// The clock that waits are measured by.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The lock on everything: see [`State`].
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn with_entry<T>(
        &self,
        id: &AgentId,
        change: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        self.state().agents.get_mut(id).map(change)
    }

    fn apply(&self, agent: &Agent, before: AgentState) {
        let mut state = self.state();
        if agent.state == AgentState::Gone {
            state.agents.remove(&agent.id);
        } else if let Some(entry) = state.agents.get_mut(&agent.id) {
            entry.agent.state = agent.state;
        }
        state.serve_waiters();
        drop(state);
        if agent.state != before {
            log::info!(
                "agent {}: {} → {}",
                agent.id,
                before.as_str(),
                agent.state.as_str()
            );
        }
    }
}
