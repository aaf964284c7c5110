//! One agent in the fleet's memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::state::Current;
use crate::model::agent::{Agent, AgentContact, AgentState};
use crate::model::function::Code;
use crate::model::ids::{ExecutionId, FunctionName};
use crate::policy::isolation::unenforced;
use crate::policy::placement::Candidate;
use crate::store::{Revision, Stored};

/// What an agent holds of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Of the configuration in force there.
    pub config_digest: String,
    /// Of the code in force there; absent before the first deploy.
    pub code: Option<Code>,
}

/// What the API shows of an agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AgentView {
    /// The stored part.
    pub agent: Agent,
    /// What probing it told.
    pub contact: AgentContact,
    /// Executions this control plane knows to run there.
    pub active_count: u32,
    /// How many functions it holds.
    pub functions: usize,
}

/// For what an agent said it has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedFor {
    /// The function of the call.
    Function,
    Everything,
}

/// An execution that takes a slot.
#[derive(Debug)]
pub(super) struct Inflight {
    pub function: FunctionName,
    /// Whether a call of this control plane is still talking to the agent about it. Such an
    /// entry outlives a snapshot that does not list it: the agent may not have accepted it yet.
    pub calling: bool,
    /// [`Entry::ends`] when the slot was taken.
    ends_before: u64,
    pub memory_mb: u64,
    pub cpu_millicores: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub agent: Agent,
    pub revision: Revision,
    pub contact: AgentContact,
    /// Changes when the agent process restarts.
    pub boot_id: String,
    pub held: HashMap<FunctionName, Held>,
    pub inflight: HashMap<ExecutionId, Inflight>,
    /// Executions by function; kept in step with `inflight`, because placement asks at every call.
    running_of: HashMap<FunctionName, u32>,
    memory_reserved_mb: u64,
    cpu_reserved_millicores: u64,
    /// Functions the agent refused for lack of room since something there last ended.
    refused: HashSet<FunctionName>,
    refused_all: bool,
    /// How often something ended there, or may have: a refusal that was given before the last
    /// end says nothing any more.
    ends: u64,
}

impl Entry {
    /// As it is stored; nothing is known of it before it answers.
    pub(crate) fn new(stored: Stored<Agent>) -> Entry {
        let Stored { value, revision } = stored;
        Entry {
            agent: Agent {
                state: stored_state(value.state),
                ..value
            },
            revision,
            contact: AgentContact::default(),
            boot_id: String::new(),
            held: HashMap::new(),
            inflight: HashMap::new(),
            running_of: HashMap::new(),
            memory_reserved_mb: 0,
            cpu_reserved_millicores: 0,
            refused: HashSet::new(),
            refused_all: false,
            ends: 0,
        }
    }

    pub(crate) fn view(&self) -> AgentView {
        AgentView {
            agent: self.agent.clone(),
            contact: self.contact.clone(),
            active_count: self.running(),
            functions: self.held.len(),
        }
    }

    /// Whether it is the agent that `agent` was when somebody looked: not one that was removed
    /// and registered again since.
    pub(crate) fn is_same(&self, agent: &Agent) -> bool {
        self.agent.address == agent.address
            && self.agent.tls == agent.tls
            && self.agent.registered_at == agent.registered_at
    }

    pub(crate) fn gets_traffic(&self) -> bool {
        self.agent.state == AgentState::Online
    }

    /// Whether it may get traffic soon without anybody doing anything: it is being synced, or it
    /// was never asked since this control plane started.
    pub(crate) fn is_coming(&self) -> bool {
        match self.agent.state {
            AgentState::Syncing => true,
            AgentState::Offline => {
                self.contact.last_heartbeat.is_none() && self.contact.misses == 0
            }
            AgentState::Provisioning
            | AgentState::Online
            | AgentState::Draining
            | AgentState::Gone => false,
        }
    }

    pub(crate) fn candidate(&self, current: &Current) -> Candidate {
        let name = &current.config.name;
        let node = self.contact.node.as_ref();
        Candidate {
            isolates: unenforced(&current.config.isolation, &self.contact.isolation)
                .next()
                .is_none(),
            holds_function: self
                .held
                .get(name)
                .is_some_and(|held| current.is_held(held)),
            refused: self.refused_all || self.refused.contains(name),
            running_of_function: self.running_of.get(name).copied().unwrap_or(0),
            running: self.running(),
            max_tasks: node.map_or(0, |node| node.max_tasks),
            memory_total_mb: node.map_or(0, |node| node.memory_total_mb),
            memory_used_mb: node.map_or(0, |node| node.memory_used_mb),
            memory_reserved_mb: self.memory_reserved_mb,
            cpu_millicores: node.map_or(0, |node| node.cpu_millicores),
            cpu_reserved_millicores: self.cpu_reserved_millicores,
        }
    }

    /// Takes a slot. The same execution twice takes it once.
    pub(crate) fn occupy(
        &mut self,
        execution: ExecutionId,
        current: Option<&Arc<Current>>,
        function: &FunctionName,
        calling: bool,
    ) {
        if self.inflight.contains_key(&execution) {
            return;
        }
        let limits = current.map(|current| &current.config);
        let memory_mb = limits
            .and_then(|config| config.memory)
            .map_or(0, |memory| memory.0);
        let cpu_millicores = limits
            .and_then(|config| config.cpu_millicores)
            .map_or(0, |cpu| u64::from(cpu.get()));
        *self.running_of.entry(function.clone()).or_default() += 1;
        self.memory_reserved_mb += memory_mb;
        self.cpu_reserved_millicores += cpu_millicores;
        self.inflight.insert(
            execution,
            Inflight {
                function: function.clone(),
                calling,
                ends_before: self.ends,
                memory_mb,
                cpu_millicores,
            },
        );
    }

    /// Something ended: its slot is free, if it is known here, and so may be others.
    pub(crate) fn vacate(&mut self, execution: &ExecutionId) {
        self.remove(execution);
        self.forget_refusals();
    }

    /// The agent did not take the execution. Unless something ended there since it was offered,
    /// the agent is not asked again before that happens.
    pub(crate) fn turn_down(&mut self, execution: &ExecutionId, refused: RefusedFor) {
        let Some(inflight) = self.remove(execution) else {
            return;
        };
        if inflight.ends_before != self.ends {
            return;
        }
        match refused {
            RefusedFor::Function => {
                self.refused.insert(inflight.function);
            }
            RefusedFor::Everything => self.refused_all = true,
        }
    }

    /// The agent says whether it takes on anything at all, and is asked again about the rest.
    pub(crate) fn set_draining(&mut self, draining: bool) {
        self.forget_refusals();
        self.refused_all = draining;
    }

    fn forget_refusals(&mut self) {
        self.ends += 1;
        self.refused_all = false;
        self.refused.clear();
    }

    fn remove(&mut self, execution: &ExecutionId) -> Option<Inflight> {
        let inflight = self.inflight.remove(execution)?;
        self.memory_reserved_mb -= inflight.memory_mb;
        self.cpu_reserved_millicores -= inflight.cpu_millicores;
        if let Some(count) = self.running_of.get_mut(&inflight.function) {
            *count -= 1;
            if *count == 0 {
                self.running_of.remove(&inflight.function);
            }
        }
        Some(inflight)
    }

    fn running(&self) -> u32 {
        u32::try_from(self.inflight.len()).unwrap_or(u32::MAX)
    }
}

/// Whether an agent can be reached is what each control plane sees for itself; only what somebody
/// decided is stored.
pub(super) const fn stored_state(state: AgentState) -> AgentState {
    match state {
        AgentState::Offline | AgentState::Syncing | AgentState::Online => AgentState::Offline,
        AgentState::Provisioning | AgentState::Draining | AgentState::Gone => state,
    }
}
