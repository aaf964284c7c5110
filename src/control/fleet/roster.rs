//! The fleet's one owner: every change of an agent goes through here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thiserror::Error;

use super::entry::{AgentView, Entry, Held, RefusedFor, stored_state};
use super::queue::{Entered, QueueLimits, Ticket, WaitError};
use super::reservation::Reservation;
use super::state::{Current, Placed, State};
use super::waiting::{Place, Waiting};
use crate::base::cancel::Cancel;
use crate::base::clock::Clock;
use crate::base::threads::lock;
use crate::model::agent::{Agent, AgentEvent, AgentState, IllegalTransition};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::model::resources::NodeStatus;
use crate::policy::placement::NoRoom;
use crate::store::{Store, StoreError, Stored};
use crate::wire::node::NodeReport;

/// See the module's text.
pub struct Fleet {
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
pub enum Refreshed {
    /// It was known already.
    Nothing,
    /// The agent is new, or stands elsewhere.
    Changed,
    /// The agent is gone.
    Removed,
}

/// Why a change of the fleet was refused.
#[derive(Debug, Error)]
pub enum FleetError {
    /// No such agent.
    #[error("no agent {0}")]
    UnknownAgent(AgentId),
    /// The id is taken by an agent at another address.
    #[error("agent {id} is registered at {address}")]
    AddressConflict {
        /// The id.
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
    pub fn load(
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
    pub fn list(&self) -> Vec<AgentView> {
        lock(&self.state).agents.values().map(Entry::view).collect()
    }

    /// One agent.
    pub fn get(&self, id: &AgentId) -> Option<AgentView> {
        lock(&self.state).agents.get(id).map(Entry::view)
    }

    /// How many calls wait for room.
    pub fn waiting(&self) -> usize {
        lock(&self.state).waiters.len()
    }

    /// Adds an agent that answered at `address`. The same agent again is no change.
    ///
    /// # Errors
    /// [`FleetError::AddressConflict`], or the store's.
    pub fn register(
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
        lock(&self.state).agents.insert(id.clone(), entry);
        Ok(view)
    }

    /// Takes over what the store says of an agent now, whoever wrote it.
    ///
    /// # Errors
    /// The store's; nothing has changed then.
    pub fn refresh(&self, id: &AgentId) -> Result<Refreshed, StoreError> {
        let _changes = lock(&self.changes);
        let stored = self.store.get_agent(id)?;
        let mut state = lock(&self.state);
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
    pub fn transition(&self, id: &AgentId, event: AgentEvent) -> Result<AgentState, FleetError> {
        let _changes = lock(&self.changes);
        let (mut agent, revision) = {
            let state = lock(&self.state);
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
    pub fn record_answer(&self, agent: &Agent, report: NodeReport) -> Option<bool> {
        let mut state = lock(&self.state);
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
    pub fn has(&self, agent: &Agent) -> bool {
        lock(&self.state)
            .agents
            .get(&agent.id)
            .is_some_and(|entry| entry.is_same(agent))
    }

    /// A probe was not answered; returns how many in a row were not.
    pub fn record_miss(&self, id: &AgentId) -> u32 {
        self.with_entry(id, |entry| {
            entry.contact.misses = entry.contact.misses.saturating_add(1);
            entry.contact.misses
        })
        .unwrap_or(0)
    }

    /// What an agent holds of a function.
    pub fn held(&self, id: &AgentId, function: &FunctionName) -> Option<Held> {
        let state = lock(&self.state);
        state.agents.get(id)?.held.get(function).cloned()
    }

    /// Whether an agent holds some function not as it should.
    pub fn lacks_something(&self, id: &AgentId) -> bool {
        let state = lock(&self.state);
        let Some(entry) = state.agents.get(id) else {
            return false;
        };
        state.current.iter().any(|(name, current)| {
            let held = entry.held.get(name);
            held.is_none_or(|held| !current.is_as_held(held))
        })
    }

    /// An agent said that it does not hold a function as `current` says; whatever it was brought
    /// since then stands.
    pub fn disprove_held(&self, id: &AgentId, current: &Current) {
        self.with_entry(id, |entry| {
            let name = &current.config.name;
            if entry
                .held
                .get(name)
                .is_some_and(|held| current.is_as_held(held))
            {
                entry.held.remove(name);
            }
        });
    }

    /// What an agent holds of a function from now on; `None` = nothing, or nobody knows.
    pub fn set_held(&self, id: &AgentId, function: &FunctionName, held: Option<Held>) {
        let mut state = lock(&self.state);
        if let Some(entry) = state.agents.get_mut(id) {
            match held {
                Some(held) => entry.held.insert(function.clone(), held),
                None => entry.held.remove(function),
            };
        }
        state.serve_waiters();
    }

    /// What an agent holds, whole.
    pub fn replace_held(&self, id: &AgentId, held: HashMap<FunctionName, Held>) {
        let mut state = lock(&self.state);
        if let Some(entry) = state.agents.get_mut(id) {
            entry.held = held;
        }
        state.serve_waiters();
    }

    /// What has to be run from now on under a name; `None` = the function is deleted.
    pub fn set_current(&self, name: &FunctionName, current: Option<Current>) {
        let mut state = lock(&self.state);
        match current {
            Some(current) => state.current.insert(name.clone(), Arc::new(current)),
            None => state.current.remove(name),
        };
        state.serve_waiters();
    }

    /// What the agent says runs there: replaces what was believed, except for executions that a
    /// call is about just now.
    pub fn replace_running(&self, id: &AgentId, running: Vec<(ExecutionId, FunctionName)>) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let Some(entry) = state.agents.get_mut(id) else {
            return;
        };
        let reported: HashMap<_, _> = running.into_iter().collect();
        let ended: Vec<_> = entry
            .inflight
            .iter()
            .filter(|(execution, inflight)| !inflight.calling && !reported.contains_key(execution))
            .map(|(execution, _)| execution.clone())
            .collect();
        for execution in ended {
            entry.vacate(&execution);
        }
        for (execution, function) in reported {
            entry.occupy(execution, state.current.get(&function), &function, false);
        }
        state.serve_waiters();
    }

    /// An execution ended: its slot is free. Also of one that is not known here: the agent has
    /// room that it may have refused a moment ago.
    pub fn vacate(&self, id: &AgentId, execution: &ExecutionId) {
        let mut state = lock(&self.state);
        if let Some(entry) = state.agents.get_mut(id) {
            entry.vacate(execution);
            state.serve_waiters();
        }
    }

    /// Executions that take a slot there and that no call is about just now.
    pub fn running_unwatched(&self, id: &AgentId) -> Vec<(ExecutionId, FunctionName)> {
        let state = lock(&self.state);
        let inflight = state.agents.get(id).map(|entry| &entry.inflight);
        inflight
            .into_iter()
            .flatten()
            .filter(|(_, inflight)| !inflight.calling)
            .map(|(id, inflight)| (id.clone(), inflight.function.clone()))
            .collect()
    }

    /// Takes a slot for `execution` of `function`, waiting for one where the function's
    /// behaviours say so, until the client leaves or the control plane ends.
    ///
    /// # Errors
    /// [`WaitError`]; no slot is taken then.
    pub fn acquire(
        self: &Arc<Self>,
        function: &FunctionName,
        execution: &ExecutionId,
        client_gone: &Cancel,
    ) -> Result<Reservation, WaitError> {
        match self.enter(function, execution)? {
            Place::Taken(reservation) => Ok(reservation),
            Place::InQueue(waiting) => {
                log::debug!("function {function}: execution {execution} waits for room");
                waiting.wait(client_gone)
            }
        }
    }

    /// Takes a slot for `execution` of `function` at once, or a place in the queue where the function
    /// wants that.
    ///
    /// # Errors
    /// [`WaitError`]; no slot and no place is taken then.
    pub fn enter(
        self: &Arc<Self>,
        function: &FunctionName,
        execution: &ExecutionId,
    ) -> Result<Place, WaitError> {
        let entered = lock(&self.state).enter(function, execution, self.limits)?;
        Ok(match entered {
            Entered::Placed(placed) => Place::Taken(self.reserve(placed, execution)),
            Entered::Waiting(ticket) => {
                Place::InQueue(Waiting::new(Arc::clone(self), ticket, execution.clone()))
            }
        })
    }

    /// The agent with which this control plane knows an execution to be, or to be about to be.
    pub fn whereabouts(&self, execution: &ExecutionId) -> Option<AgentView> {
        lock(&self.state)
            .agents
            .values()
            .find(|entry| entry.inflight.contains_key(execution))
            .map(Entry::view)
    }

    /// Sends every waiter away, now and from now on; for shutdown.
    pub fn dismiss_waiters(&self) {
        lock(&self.state).dismiss_waiters();
    }

    pub(super) fn turn_down(&self, id: &AgentId, execution: &ExecutionId, refused: RefusedFor) {
        let mut state = lock(&self.state);
        if let Some(entry) = state.agents.get_mut(id) {
            entry.turn_down(execution, refused);
            state.serve_waiters();
        }
    }

    pub(super) fn call_ended(&self, id: &AgentId, execution: &ExecutionId) {
        self.with_entry(id, |entry| {
            if let Some(inflight) = entry.inflight.get_mut(execution) {
                inflight.calling = false;
            }
        });
    }

    pub(super) fn reserve(
        self: &Arc<Self>,
        placed: Placed,
        execution: &ExecutionId,
    ) -> Reservation {
        Reservation::new(Arc::clone(self), placed, execution.clone())
    }

    /// By which waits are measured.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// For a waiter whose time is over: what is short, and how long that is worth waiting for.
    pub(super) fn reconsider(&self, function: &FunctionName) -> (NoRoom, Duration) {
        lock(&self.state).reconsider(function)
    }

    /// Takes a waiter out of the queue; `false`: it has been answered already.
    pub(super) fn leave(&self, ticket: &Ticket) -> bool {
        lock(&self.state).waiters.leave(ticket)
    }

    fn with_entry<T>(&self, id: &AgentId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        lock(&self.state).agents.get_mut(id).map(change)
    }

    fn apply(&self, agent: &Agent, before: AgentState) {
        let mut state = lock(&self.state);
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
