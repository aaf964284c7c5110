//! Everything the fleet knows, behind one lock: agents, current functions, waiters.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::entry::{Entry, Held};
use super::queue::Waiters;
use crate::model::function::{Code, FunctionConfig};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::policy::placement::{self, Demand, NoRoom};

/// A function as it has to be for a new execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Current {
    /// The configuration in force.
    pub config: FunctionConfig,
    /// The digest of `config`.
    pub config_digest: String,
    /// In force; absent before the first deploy.
    pub code: Option<Code>,
}

impl Current {
    /// Whether an agent that holds `held` may run it.
    pub(crate) fn is_held(&self, held: &Held) -> bool {
        self.code.is_some() && self.is_as_held(held)
    }

    /// Whether `held` is this configuration and this code, or this lack of code.
    pub(crate) fn is_as_held(&self, held: &Held) -> bool {
        held.config_digest == self.config_digest && held.code == self.code
    }

    fn demand(&self) -> Demand {
        Demand {
            max_concurrency: self.config.max_concurrency.get(),
            memory: self.config.memory,
            cpu_millicores: self.config.cpu_millicores.map(std::num::NonZeroU32::get),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Ordered, so that listings and ties are stable.
    pub agents: BTreeMap<AgentId, Entry>,
    pub current: HashMap<FunctionName, Arc<Current>>,
    pub waiters: Waiters,
    turn: usize,
}

/// A slot that was taken: where.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub agent: AgentId,
    pub address: String,
    pub tls: bool,
    pub current: Arc<Current>,
}

impl State {
    /// Chooses an agent and takes a slot there.
    pub(crate) fn place(
        &mut self,
        current: &Arc<Current>,
        execution: &ExecutionId,
    ) -> Result<Placed, NoRoom> {
        self.turn = self.turn.wrapping_add(1);
        let index = self.look(current)?;
        let entry = self
            .agents
            .values_mut()
            .filter(|entry| entry.gets_traffic())
            .nth(index)
            .ok_or(NoRoom::NoAgent)?;
        entry.occupy(execution.clone(), Some(current), &current.config.name, true);
        Ok(Placed {
            agent: entry.agent.id.clone(),
            address: entry.agent.address.clone(),
            tls: entry.agent.tls,
            current: Arc::clone(current),
        })
    }

    /// Where the execution would go, by its place among the agents that get traffic.
    pub(crate) fn look(&self, current: &Current) -> Result<usize, NoRoom> {
        let online = self.agents.values().filter(|entry| entry.gets_traffic());
        placement::place(
            online.map(|entry| entry.candidate(current)),
            current.demand(),
            self.turn,
        )
    }

    /// Whether some agent will probably get traffic soon, or get the code it lacks.
    pub(crate) fn help_is_coming(&self) -> bool {
        self.agents.values().any(Entry::is_coming)
    }
}
