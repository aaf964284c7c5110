//! Where an execution is: kept here once it has ended, else by what this control plane knows, by its
//! route, or by asking every agent.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;

use super::error::ExecutionError;
use crate::base::pool::{Pool, PoolLimits};
use crate::base::threads::Supervisor;
use crate::control::contacts::Contacts;
use crate::control::fleet::{AgentView, Fleet};
use crate::control::records::KeptExecution;
use crate::model::agent::AgentState;
use crate::model::ids::{AgentId, ExecutionId};
use crate::rpc::{AgentClient, RpcError};
use crate::store::{Route, Store};

/// Threads for questions that go to every agent.
const ASK_POOL: PoolLimits = PoolLimits {
    threads: 32,
    queued: 4096,
    idle: Duration::from_secs(10),
};

/// How long one reader waits for an end that is on its way home.
const HOMECOMING_TIME: Duration = Duration::from_secs(10);

pub(crate) struct Executions {
    pub(super) fleet: Arc<Fleet>,
    pub(super) contacts: Contacts,
    store: Arc<dyn Store>,
    asks: Pool,
}

/// Where an execution is.
pub(super) enum Whereabouts {
    /// It has ended and come home.
    Kept(Box<KeptExecution>),
    /// This agent has it, or should have it.
    At {
        agent: Box<AgentView>,
        route: Option<Route>,
        /// Whether a call of this control plane is about it, or the agent said that it runs.
        running: bool,
    },
}

impl Executions {
    pub(crate) fn new(
        fleet: Arc<Fleet>,
        contacts: Contacts,
        store: Arc<dyn Store>,
        supervisor: &Supervisor,
    ) -> Executions {
        Executions {
            fleet,
            contacts,
            store,
            asks: Pool::new("ask", ASK_POOL, supervisor),
        }
    }

    /// Whether it was ever handed over, as far as this control plane remembers.
    ///
    /// # Errors
    /// The store's, the history's.
    pub(crate) fn is_known(&self, id: &ExecutionId) -> Result<bool, ExecutionError> {
        // The route before the record: it is forgotten after that is kept.
        let has_route = self.store.get_route(id)?.is_some();
        Ok(has_route || self.contacts.records.find(id)?.is_some())
    }

    pub(super) fn locate(&self, id: &ExecutionId) -> Result<Whereabouts, ExecutionError> {
        // What a call is about has not come home; asked first, it need not be looked for there.
        if let Some(agent) = self.fleet.whereabouts(id) {
            let route = self.store.get_route(id)?;
            return Ok(Whereabouts::At {
                agent: Box::new(agent),
                route,
                running: true,
            });
        }
        // The route before the record: it is forgotten after that is kept.
        let route = self.store.get_route(id)?;
        if let Some(kept) = self.contacts.records.find(id)? {
            return Ok(Whereabouts::Kept(Box::new(kept)));
        }
        let Some(route) = route else {
            return self.search(id);
        };
        if let Some(agent) = self.fleet.get(&route.agent) {
            return Ok(Whereabouts::At {
                agent: Box::new(agent),
                route: Some(route),
                running: false,
            });
        }
        // Its agent was removed, and this was not settled then.
        self.contacts.records.orphan(&[route])?;
        let kept = self.contacts.records.find(id)?;
        let kept = kept.ok_or_else(|| ExecutionError::NotFound(id.clone()))?;
        Ok(Whereabouts::Kept(Box::new(kept)))
    }

    /// No route: a synchronous execution from before a crash, or no execution at all.
    fn search(&self, id: &ExecutionId) -> Result<Whereabouts, ExecutionError> {
        let wanted = id.clone();
        let mut outage = None;
        for (agent, answer) in self.ask_all(move |_, client| client.get_execution(&wanted)) {
            match answer {
                Ok(Some(executed)) => {
                    // What has ended there is on its way home, or was forgotten here in its time: once all
                    // are home that is known.
                    let collector = &self.contacts.collector;
                    if executed.record.ending.is_some()
                        && self.contacts.records.kept_mark(&agent).is_some()
                        && collector.collect_now(&agent, HOMECOMING_TIME)
                    {
                        continue;
                    }
                    if let Some(kept) = self.contacts.records.find(id)? {
                        return Ok(Whereabouts::Kept(Box::new(kept)));
                    }
                    if let Some(agent) = self.fleet.get(&agent) {
                        return Ok(Whereabouts::At {
                            agent: Box::new(agent),
                            route: None,
                            running: false,
                        });
                    }
                }
                Ok(None) => {}
                Err(error) => outage = Some(unreachable(&agent, error)),
            }
        }
        // It may have come home meanwhile, or be with the one that could not be asked.
        if let Some(kept) = self.contacts.records.find(id)? {
            return Ok(Whereabouts::Kept(Box::new(kept)));
        }
        Err(outage.unwrap_or_else(|| ExecutionError::NotFound(id.clone())))
    }

    pub(super) fn ask_all<T: Send + 'static>(
        &self,
        question: impl Fn(&AgentId, &AgentClient) -> Result<T, RpcError> + Send + Sync + 'static,
    ) -> Vec<(AgentId, Result<T, RpcError>)> {
        let question = Arc::new(question);
        let agents = self.fleet.list();
        let (sender, answers) = bounded(agents.len());
        for view in agents {
            if view.agent.state == AgentState::Provisioning {
                continue;
            }
            let (question, sender, links) = (
                Arc::clone(&question),
                sender.clone(),
                Arc::clone(&self.contacts.links),
            );
            let id = view.agent.id.clone();
            let refused = self.asks.submit({
                let sender = sender.clone();
                move || {
                    let answer = links
                        .client_to_ask(&view.agent)
                        .and_then(|client| question(&view.agent.id, &client));
                    let _ = sender.send((view.agent.id, answer));
                }
            });
            if refused.is_err() {
                let _ = sender.send((id, Err(RpcError::Deadline)));
            }
        }
        drop(sender);
        answers.into_iter().collect()
    }
}

pub(super) fn unreachable(agent: &AgentId, source: RpcError) -> ExecutionError {
    ExecutionError::AgentUnreachable {
        agent: agent.clone(),
        source,
    }
}
