//! Where an execution is: by what this control plane knows, by its route, else by asking every agent.

use std::sync::Arc;

use crossbeam_channel::bounded;

use super::Executions;
use super::error::ExecutionError;
use crate::control::fleet::AgentView;
use crate::model::agent::AgentState;
use crate::model::ids::{AgentId, ExecutionId};
use crate::rpc::{AgentClient, RpcError};
use crate::store::Route;

/// Where an execution is.
pub(super) enum Whereabouts {
    /// With this agent.
    At {
        agent: Box<AgentView>,
        route: Option<Route>,
        /// Whether a call of this control plane is about it, or the agent said that it runs.
        running: bool,
    },
    /// Its agent was removed from the fleet.
    Orphaned(Route),
}

impl Executions {
    pub(super) fn find(&self, id: &ExecutionId) -> Result<Whereabouts, ExecutionError> {
        if let Some(agent) = self.fleet.whereabouts(id) {
            let route = self.store.get_route(id)?;
            return Ok(Whereabouts::At {
                agent: Box::new(agent),
                route,
                running: true,
            });
        }
        if let Some(route) = self.store.get_route(id)? {
            return Ok(match self.fleet.get(&route.agent) {
                Some(agent) => Whereabouts::At {
                    agent: Box::new(agent),
                    route: Some(route),
                    running: false,
                },
                None => Whereabouts::Orphaned(route),
            });
        }
        self.search(id)
    }

    /// No route: a synchronous execution from before a crash, or no execution at all.
    fn search(&self, id: &ExecutionId) -> Result<Whereabouts, ExecutionError> {
        let wanted = id.clone();
        let mut outage = None;
        for (agent, answer) in self.ask_all(move |client| client.get_execution(&wanted)) {
            match answer {
                Ok(Some(_)) => {
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
        // It may be with the one that could not be asked.
        Err(outage.unwrap_or_else(|| ExecutionError::NotFound(id.clone())))
    }

    pub(super) fn ask_all<T: Send + 'static>(
        &self,
        question: impl Fn(&AgentClient) -> Result<T, RpcError> + Send + Sync + 'static,
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
                Arc::clone(&self.links),
            );
            let id = view.agent.id.clone();
            let refused = self.asks.submit({
                let sender = sender.clone();
                move || {
                    let answer = links
                        .client_to_ask(&view.agent)
                        .and_then(|client| question(&client));
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
