//! How long the way to an execution is remembered: as long as it runs, and then as long as its record
//! is kept, also where nobody has one.

use std::convert::Infallible;
use std::sync::Arc;

use super::Executions;
use crate::model::execution::ExecutionRecord;
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::rpc::{AgentClient, RpcError};
use crate::store::Route;
use crate::wire::output::{OutputQuery, Selection};

impl Executions {
    /// An execution ended: its route may go once its record does.
    pub fn record_end(&self, id: &ExecutionId, agent: &AgentId, function: &FunctionName) {
        let now = self.clock.now();
        self.store.put_route_lazily(&Route {
            execution: id.clone(),
            agent: agent.clone(),
            function: function.clone(),
            accepted_at: now,
            expires_at: Some(now.after(self.retention)),
            lost: false,
        });
    }

    /// Whether an execution that its agent has no record of is lost, and not only forgotten by now.
    pub(super) fn is_lost(&self, route: &Route) -> bool {
        match route.expires_at {
            None => {
                self.record_loss(route);
                true
            }
            Some(expires_at) => route.lost && self.clock.now() < expires_at,
        }
    }

    /// Its agent has no record of it: its route goes when a record would.
    fn record_loss(&self, route: &Route) {
        let (id, agent) = (&route.execution, &route.agent);
        log::warn!("execution {id} is lost: agent {agent} has no record of it");
        self.store.put_route_lazily(&Route {
            expires_at: Some(self.clock.now().after(self.retention)),
            lost: true,
            ..route.clone()
        });
    }

    /// Routes of executions that ended while nobody listened to their agent: they go with the time
    /// of the records, and so do those that the agent knows nothing of, which are reported as lost
    /// until then. Works elsewhere, for there may be many.
    pub fn settle_open_routes(self: &Arc<Self>, agent: &AgentId) {
        let (this, agent) = (Arc::clone(self), agent.clone());
        let accepted = self.asks.submit(move || {
            let Some(view) = this.fleet.get(&agent) else {
                return;
            };
            let settled = this.links.client(&view.agent).and_then(|client| {
                this.each_open_route(&agent, |route| this.settle_route(&client, route))
            });
            if let Err(error) = settled {
                log::debug!("agent {agent}: open routes to it stay open: {error}");
            }
        });
        if accepted.is_err() {
            log::debug!("open routes stay open until the agent is listened to anew");
        }
    }

    fn settle_route(&self, client: &AgentClient, route: &Route) -> Result<(), RpcError> {
        if self.fleet.whereabouts(&route.execution).is_some() {
            return Ok(());
        }
        // The smallest question that tells whether it has ended.
        let output = client.read_output(&OutputQuery {
            execution: route.execution.clone(),
            selection: Selection::Merged,
            offset: 0,
            limit: 1,
        })?;
        match output {
            Some(piece) if piece.ended => {
                self.record_end(&route.execution, &route.agent, &route.function);
            }
            Some(_) => {}
            None => self.record_loss(route),
        }
        Ok(())
    }

    /// The agent is gone: nobody can tell any more what became of its executions, and their
    /// routes go with the time of their records.
    pub fn orphan(&self, agent: &AgentId) {
        let Ok(()) = self.each_open_route(agent, |route| {
            self.record_end(&route.execution, &route.agent, &route.function);
            Ok::<(), Infallible>(())
        });
    }

    fn each_open_route<E>(
        &self,
        agent: &AgentId,
        mut act: impl FnMut(&Route) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = None;
        loop {
            let routes = match self.store.list_routes(agent, after.as_ref()) {
                Ok(routes) => routes,
                Err(error) => {
                    log::warn!("agent {agent}: routes to it stay: {error}");
                    return Ok(());
                }
            };
            let Some(last) = routes.last() else {
                return Ok(());
            };
            after = Some(last.execution.clone());
            routes
                .iter()
                .filter(|route| route.expires_at.is_none())
                .try_for_each(&mut act)?;
        }
    }

    pub(super) fn note_found(&self, route: Option<&Route>, record: &ExecutionRecord) {
        let Some(route) = route.filter(|route| route.lost || route.expires_at.is_none()) else {
            return;
        };
        if record.ending.is_some() {
            self.record_end(&record.id, &record.agent, &record.function);
        } else if route.lost {
            // It was on its way when its agent was asked.
            self.store.put_route_lazily(&Route {
                expires_at: None,
                lost: false,
                ..route.clone()
            });
        }
    }
}
