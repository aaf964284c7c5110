//! Legacy agents, which tell no ends: they are asked about every execution that they were handed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::keep::{Records, RecordsError};
use crate::base::causes::with_causes;
use crate::base::threads::lock;
use crate::control::links::Links;
use crate::model::agent::Agent;
use crate::model::ends::{Ended, Settled};
use crate::model::execution::Executed;
use crate::model::ids::{AgentId, ExecutionId};
use crate::rpc::AgentClient;
use crate::rpc::limits::ACCEPT_DEADLINE;
use crate::store::Route;

/// Executions that one agent is asked about after one probe: a short while's work.
const MAX_ASKED: usize = 64;
/// A call that is on its way inside of an agent may take this long until the agent knows of it: as long
/// as its caller waits for the acceptance.
const MAY_BE_ON_ITS_WAY: Duration = ACCEPT_DEADLINE;

pub(super) struct LegacyAgents {
    pub records: Arc<Records>,
    pub links: Arc<Links>,
    /// Up to which execution each agent has been asked in this round.
    pub asked: Mutex<HashMap<AgentId, ExecutionId>>,
}

impl LegacyAgents {
    /// Asks about some of the executions that are open, each time about the next.
    pub(super) fn ask(&self, agent: &Agent) {
        if let Err(error) = self.ask_some(agent) {
            log::debug!(
                "agent {}: what runs there: {}",
                agent.id,
                with_causes(&error)
            );
        }
    }

    pub(super) fn forget(&self, agent: &AgentId) {
        lock(&self.asked).remove(agent);
    }

    fn ask_some(&self, agent: &Agent) -> Result<(), RecordsError> {
        let after = lock(&self.asked).remove(&agent.id);
        let mut routes = self.records.store.list_routes(&agent.id, after.as_ref())?;
        if routes.len() > MAX_ASKED {
            routes.truncate(MAX_ASKED);
            let last = routes.last().map(|route| route.execution.clone());
            lock(&self.asked).extend(last.map(|last| (agent.id.clone(), last)));
        }
        let client = self.links.client(agent)?;
        for route in routes {
            match self.records.settle_legacy(&client, &route)? {
                Settled::Running | Settled::Forgotten => {}
                Settled::Ended(_) => {
                    self.records.fleet.vacate(&agent.id, &route.execution);
                    self.records.store.forget_routes(&[route.execution])?;
                }
            }
        }
        Ok(())
    }
}

impl Records {
    /// What a legacy agent knows of an execution; its end is kept with that. One that it does not
    /// know after a while is lost.
    pub(super) fn settle_legacy(
        &self,
        client: &AgentClient,
        route: &Route,
    ) -> Result<Settled, RecordsError> {
        let ended = match client.get_execution(&route.execution)? {
            Some(executed) if executed.record.ending.is_none() => return Ok(Settled::Running),
            Some(Executed { record, output }) => Ended {
                record,
                output: self.within_bounds(output),
            },
            None if self.clock.now() < route.accepted_at.after(MAY_BE_ON_ITS_WAY) => {
                return Ok(Settled::Running);
            }
            None => self.lost(route, "its agent has no record of it"),
        };
        let record = ended.record.clone();
        self.history.keep(vec![ended])?;
        Ok(Settled::Ended(Box::new(record)))
    }
}
