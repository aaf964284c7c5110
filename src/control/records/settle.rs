//! What became of executions that were handed over and never heard of again. Their agent decides, for
//! good: one that it never got can never start any more.

use super::keep::{Records, RecordsError};
use crate::model::ends::{Ended, EndedOutput, Settled};
use crate::model::execution::{Ending, ExecutionRecord};
use crate::model::ids::AgentId;
use crate::model::output::Output;
use crate::rpc::{AgentClient, RpcError};
use crate::store::{Route, StoreError};
use crate::wire::ends::SettleQuery;

impl Records {
    /// What became of an execution, by its agent's word. A legacy agent cannot be asked for a last
    /// word: what it does not know is lost.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub(crate) fn settle(
        &self,
        client: &AgentClient,
        route: &Route,
    ) -> Result<Settled, RecordsError> {
        let query = SettleQuery {
            execution: route.execution.clone(),
            function: route.function.clone(),
            accepted_at: route.accepted_at,
        };
        match client.settle(&query) {
            Ok(settled) => Ok(settled),
            Err(RpcError::Unimplemented) => self.settle_legacy(client, route),
            Err(error) => Err(error.into()),
        }
    }

    /// Has every open route to an agent settled that nothing there runs for; how many ended with that,
    /// and are to be collected.
    pub(super) fn settle_open_routes(
        &self,
        agent: &AgentId,
        client: &AgentClient,
    ) -> Result<usize, RecordsError> {
        let mut ended = 0;
        self.each_route(agent, |routes| {
            for route in routes {
                if !self.still_stands(route)? {
                    continue;
                }
                if self.history.get_record(&route.execution)?.is_some() {
                    self.forget_route(route)?;
                    continue;
                }
                match self.settle(client, route)? {
                    Settled::Running => {}
                    Settled::Ended(record) => {
                        if record.ending == Some(Ending::Lost) {
                            log::warn!("execution {} is {}", record.id, record.error);
                        }
                        ended += 1;
                    }
                    Settled::Forgotten => drop(self.end_forgotten(route)?),
                }
            }
            Ok::<(), RecordsError>(())
        })?;
        Ok(ended)
    }

    /// Whether a route is open, and no call is about it: else its agent may have turned it down since it was read,
    /// and must not be asked what became of it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn still_stands(&self, route: &Route) -> Result<bool, StoreError> {
        // In this order: a route is written and forgotten while a slot is held.
        let is_under_way = self.fleet.whereabouts(&route.execution).is_some();
        Ok(!is_under_way && self.store.get_route(&route.execution)?.as_ref() == Some(route))
    }

    /// Its agent does not remember it any more. It was accepted, so it has ended as lost: without a
    /// record it would be unknown, and an idempotency key would start it again.
    ///
    /// # Errors
    /// The stores'; the route stays then.
    pub(crate) fn end_forgotten(&self, route: &Route) -> Result<ExecutionRecord, StoreError> {
        let lost = self.lost(route, "its agent does not remember it any more");
        let record = lost.record.clone();
        log::warn!("execution {} is {}", record.id, record.error);
        self.history.keep(vec![lost])?;
        self.forget_route(route)?;
        Ok(record)
    }

    /// The agent is gone, and nobody can tell any more what becomes of its executions: those that
    /// have not ended have ended as lost.
    ///
    /// # Errors
    /// The stores'; their routes stay then, and lead to nobody.
    pub(crate) fn give_up(&self, agent: &AgentId) -> Result<(), StoreError> {
        self.each_route(agent, |routes| self.orphan(routes))?;
        self.forget(agent)
    }

    /// Ends executions whose agent is gone.
    ///
    /// # Errors
    /// The stores'.
    pub(crate) fn orphan(&self, routes: &[Route]) -> Result<(), StoreError> {
        let lost = |route: &Route| self.lost(route, "its agent was removed from the fleet");
        self.history.keep(routes.iter().map(lost).collect())?;
        self.forget_routes(routes)
    }

    /// An execution that nobody has a record of.
    pub(super) fn lost(&self, route: &Route, why: &str) -> Ended {
        let accepted = ExecutionRecord::accepted(
            route.execution.clone(),
            route.agent.clone(),
            route.function.clone(),
            0,
            route.accepted_at,
        );
        Ended {
            record: accepted.lost(why, self.clock.now()),
            output: EndedOutput::Whole(Output::default()),
        }
    }

    fn forget_route(&self, route: &Route) -> Result<(), StoreError> {
        self.forget_routes(std::slice::from_ref(route))
    }

    fn forget_routes(&self, routes: &[Route]) -> Result<(), StoreError> {
        let ids: Vec<_> = routes.iter().map(|route| route.execution.clone()).collect();
        self.store.forget_routes(&ids).map(drop)
    }

    fn each_route<E: From<StoreError>>(
        &self,
        agent: &AgentId,
        mut act: impl FnMut(&[Route]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = None;
        loop {
            let routes = self.store.list_routes(agent, after.as_ref())?;
            let Some(last) = routes.last() else {
                return Ok(());
            };
            after = Some(last.execution.clone());
            act(&routes)?;
        }
    }
}
