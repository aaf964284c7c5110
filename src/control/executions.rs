//! Executions after they were handed over: found, read, followed, listed, cancelled.
//!
//! The owning agent has the record; the control plane knows the way to it. An agent that cannot
//! be asked is an outage and is said so: never "not found", never an empty list.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::command::{Execution, Listing};
use super::error::ControlError;
use super::fleet::{AgentView, Fleet};
use super::links::Links;
use crate::base::causes::with_causes;
use crate::base::clock::Timestamp;
use crate::base::pool::{Pool, PoolLimits};
use crate::base::threads::Supervisor;
use crate::base::token::Token;
use crate::model::agent::AgentState;
use crate::model::execution::{Ending, ExecutionRecord, OutputChunk, Stream, Usage};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::rpc::follow::{Follower, Next};
use crate::rpc::{AgentClient, RpcError};
use crate::store::{Route, Store};
use crate::wire::execution::{CancelOutcome, ExecutionQuery};
use crate::wire::output::{FollowEvent, OutputPiece, OutputQuery, Selection};

/// Executions in one listing at the most, so that an answer stays readable and bounded.
pub const MAX_LISTED: usize = 500;

/// Bytes of output in one answer: an agent's whole default output in two.
const OUTPUT_PIECE_BYTES: u64 = 4 << 20;

/// Threads for questions that go to every agent.
const ASK_POOL: PoolLimits = PoolLimits {
    threads: 32,
    queued: 4096,
    idle: Duration::from_secs(10),
};

/// Between two signs of life to a client that follows a silent execution: below the idle timeouts
/// that proxies commonly have (a minute).
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Between two questions to an existing agent, which cannot push output.
const POLL_PAUSE: Duration = Duration::from_millis(500);

/// See the module's text.
pub struct Executions {
    fleet: Arc<Fleet>,
    links: Arc<Links>,
    store: Arc<dyn Store>,
    retention: Duration,
    asks: Pool,
}

/// Where an execution is.
enum Whereabouts {
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

/// What waiting for the next event came to.
#[derive(Debug)]
pub enum Followed {
    /// It happened.
    Event(FollowEvent),
    /// Nothing happened for a while; ask again.
    Silence,
    /// The record was the event before, or the client left.
    Over,
}

/// Output as it comes; ends with the final record.
pub struct Follow {
    source: Source,
    client_gone: Token,
}

enum Source {
    Pushed(Follower),
    /// An existing agent is asked again and again.
    Polled {
        client: AgentClient,
        id: ExecutionId,
        offset: u64,
    },
    /// There is nothing to wait for.
    Ended(Option<Box<ExecutionRecord>>),
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}

impl Executions {
    /// `retention`: how long routes outlive their executions, as records do.
    pub fn new(
        fleet: Arc<Fleet>,
        links: Arc<Links>,
        store: Arc<dyn Store>,
        retention: Duration,
        supervisor: &Supervisor,
    ) -> Executions {
        Executions {
            fleet,
            links,
            store,
            retention,
            asks: Pool::new("ask", ASK_POOL, supervisor),
        }
    }

    /// The record with the output so far.
    ///
    /// # Errors
    /// Unknown, or its agent cannot be asked.
    pub fn get(&self, id: &ExecutionId) -> Result<Execution, ControlError> {
        match self.find(id)? {
            Whereabouts::Orphaned(route) => {
                Ok(lost(&route, "its agent was removed from the fleet"))
            }
            Whereabouts::At {
                agent,
                route,
                running,
            } => {
                let found = self
                    .links
                    .client_to_ask(&agent.agent)
                    .and_then(|client| fetch(&client, id))
                    .map_err(|error| unreachable(&agent.agent.id, error))?;
                match (found, route) {
                    (Some(execution), route) => {
                        self.note_found(route.as_ref(), &execution.record);
                        Ok(execution)
                    }
                    // Stored as handed over, never seen to end, and not there: the agent lost it
                    // before it had it on disk, or lost its disk.
                    (None, Some(route)) if !running && self.is_lost(&route) => {
                        Ok(lost(&route, "its agent has no record of it"))
                    }
                    (None, _) => Err(ControlError::ExecutionNotFound(id.clone())),
                }
            }
        }
    }

    /// Ends it; its whole process tree is dead when this returns.
    ///
    /// # Errors
    /// Unknown, ended already, or its agent cannot be asked or cannot confirm.
    pub fn cancel(&self, id: &ExecutionId) -> Result<(), ControlError> {
        let agent = match self.find(id)? {
            Whereabouts::Orphaned(route) => {
                return Err(ControlError::ExecutionEnded {
                    id: route.execution,
                    status: Ending::Lost.status(),
                });
            }
            Whereabouts::At { agent, .. } => agent,
        };
        let outcome = self
            .links
            .client_to_ask(&agent.agent)
            .and_then(|client| client.cancel(id))
            .map_err(|error| match error {
                // It was asked, or may have been, and has not said that the tree is dead.
                RpcError::Refused(_)
                | RpcError::Rejected { .. }
                | RpcError::Deadline
                | RpcError::Interrupted { .. }
                | RpcError::Answer(_)
                | RpcError::Status { .. } => ControlError::CancelUnconfirmed {
                    id: id.clone(),
                    message: format!("agent {}: {}", agent.agent.id, with_causes(&error)),
                },
                // It was not told.
                error @ (RpcError::Unreachable
                | RpcError::Unimplemented
                | RpcError::TooLarge { .. }
                | RpcError::Address(_)
                | RpcError::NoIdentity
                | RpcError::Source(_)) => unreachable(&agent.agent.id, error),
            })?;
        match outcome {
            CancelOutcome::Cancelled => Ok(()),
            CancelOutcome::AlreadyEnded => Err(ControlError::ExecutionEnded {
                id: id.clone(),
                status: self.get(id)?.record.status(),
            }),
            CancelOutcome::UnknownExecution => {
                let status = self.get(id)?.record.status();
                Err(ControlError::ExecutionEnded {
                    id: id.clone(),
                    status,
                })
            }
        }
    }

    /// A piece of its output from `offset` on, the total so far, and whether it has ended.
    ///
    /// # Errors
    /// As [`Executions::get`].
    pub fn read_output(
        &self,
        id: &ExecutionId,
        stream: Option<Stream>,
        offset: u64,
    ) -> Result<OutputPiece, ControlError> {
        let Whereabouts::At { agent, .. } = self.find(id)? else {
            return Ok(OutputPiece {
                data: Vec::new(),
                total: 0,
                ended: true,
            });
        };
        let client = self
            .links
            .client_to_ask(&agent.agent)
            .map_err(|error| unreachable(&agent.agent.id, error))?;
        let query = OutputQuery {
            execution: id.clone(),
            selection: stream.map_or(Selection::Merged, Selection::Only),
            offset,
            limit: OUTPUT_PIECE_BYTES,
        };
        match client.read_output(&query) {
            Ok(Some(piece)) => Ok(piece),
            Ok(None) => {
                // Says which of the two it is: never known, or lost.
                self.get(id)?;
                Ok(OutputPiece {
                    data: Vec::new(),
                    total: 0,
                    ended: true,
                })
            }
            Err(RpcError::Unimplemented) => self.read_merged_record(id, offset),
            Err(error) => Err(unreachable(&agent.agent.id, error)),
        }
    }

    /// Output from `offset` of the merged output on, as it comes.
    ///
    /// # Errors
    /// As [`Executions::get`].
    pub fn follow(
        &self,
        id: &ExecutionId,
        offset: u64,
        client_gone: Token,
    ) -> Result<Follow, ControlError> {
        let source = match self.find(id)? {
            Whereabouts::Orphaned(route) => Source::Ended(Some(Box::new(
                lost(&route, "its agent was removed from the fleet").record,
            ))),
            Whereabouts::At { agent, .. } => {
                // Asked first, so that an unknown execution is an error and not an empty stream.
                let execution = self.get(id)?;
                let client = self
                    .links
                    .client_to_ask(&agent.agent)
                    .map_err(|error| unreachable(&agent.agent.id, error))?;
                match client.follow(id, offset) {
                    Ok(follower) if execution.record.agent == agent.agent.id => {
                        Source::Pushed(follower)
                    }
                    Ok(_) => Source::Ended(Some(Box::new(execution.record))),
                    Err(RpcError::Unimplemented) => Source::Polled {
                        client,
                        id: id.clone(),
                        offset,
                    },
                    Err(error) => return Err(unreachable(&agent.agent.id, error)),
                }
            }
        };
        Ok(Follow {
            source,
            client_gone,
        })
    }

    /// Records of all agents, newest first, without their output.
    pub fn list(
        &self,
        listing: &Listing,
    ) -> (Vec<ExecutionRecord>, Option<ExecutionId>, Vec<AgentId>) {
        let limit = listing.limit.clamp(1, MAX_LISTED);
        let query = ExecutionQuery {
            function: listing.function.clone(),
            status: listing.status,
            // One more than shown, to know whether there are more.
            limit: u32::try_from(limit + 1).unwrap_or(u32::MAX),
            before: listing.before.clone(),
        };
        let answers = self.ask_all(move |client| client.list_executions(&query));
        let mut records = Vec::new();
        let mut unreachable = Vec::new();
        for (agent, answer) in answers {
            match answer {
                Ok(listed) => records.extend(listed),
                // An existing agent keeps no list.
                Err(RpcError::Unimplemented) => {}
                Err(error) => {
                    log::warn!("agent {agent}: its executions cannot be listed: {error}");
                    unreachable.push(agent);
                }
            }
        }
        records.sort_by(|a: &ExecutionRecord, b| b.id.cmp(&a.id));
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records
            .last()
            .filter(|_| more)
            .map(|record| record.id.clone());
        unreachable.sort();
        (records, next, unreachable)
    }

    /// An execution ended: its route may go once its record does.
    pub fn record_end(&self, id: &ExecutionId, agent: &AgentId, function: &FunctionName) {
        let now = Timestamp::now();
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
    fn is_lost(&self, route: &Route) -> bool {
        match route.expires_at {
            None => {
                self.record_loss(route);
                true
            }
            Some(expires_at) => route.lost && Timestamp::now() < expires_at,
        }
    }

    /// Its agent has no record of it: its route goes when a record would.
    fn record_loss(&self, route: &Route) {
        let (id, agent) = (&route.execution, &route.agent);
        log::warn!("execution {id} is lost: agent {agent} has no record of it");
        self.store.put_route_lazily(&Route {
            expires_at: Some(Timestamp::now().after(self.retention)),
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

    fn note_found(&self, route: Option<&Route>, record: &ExecutionRecord) {
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

    fn read_merged_record(
        &self,
        id: &ExecutionId,
        offset: u64,
    ) -> Result<OutputPiece, ControlError> {
        let execution = self.get(id)?;
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(execution.output.len());
        Ok(OutputPiece {
            total: execution.output.len() as u64,
            data: execution.output[from..].to_vec(),
            ended: execution.record.ending.is_some(),
        })
    }

    fn find(&self, id: &ExecutionId) -> Result<Whereabouts, ControlError> {
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
    fn search(&self, id: &ExecutionId) -> Result<Whereabouts, ControlError> {
        let wanted = id.clone();
        let mut outage = None;
        for (agent, answer) in self.ask_all(move |client| fetch(client, &wanted)) {
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
        Err(outage.unwrap_or_else(|| ControlError::ExecutionNotFound(id.clone())))
    }

    fn ask_all<T: Send + 'static>(
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

impl Follow {
    /// The next piece, or the final record.
    ///
    /// # Errors
    /// The connection to the agent broke; the client may follow again from where it stands.
    pub fn next_event(&mut self) -> Result<Followed, RpcError> {
        match &mut self.source {
            Source::Pushed(follower) => {
                // Falls silent now and then, so that the caller can tell its client that all is well.
                let event =
                    match follower.next(&self.client_gone, Some(Instant::now() + HEARTBEAT))? {
                        Next::Event(event) => Followed::Event(event),
                        Next::TimedOut => Followed::Silence,
                        Next::Over | Next::Cancelled => Followed::Over,
                    };
                Ok(event)
            }
            Source::Ended(record) => Ok(record.take().map_or(Followed::Over, |record| {
                Followed::Event(FollowEvent::Ended(record))
            })),
            Source::Polled { client, id, offset } => loop {
                let Some(execution) = fetch(client, id)? else {
                    log::warn!("execution {id}: its agent forgot it while it was followed");
                    self.source = Source::Ended(None);
                    return Ok(Followed::Over);
                };
                let from = usize::try_from(*offset).unwrap_or(usize::MAX);
                if let Some(data) = execution.output.get(from..).filter(|data| !data.is_empty()) {
                    let chunk = OutputChunk {
                        // An existing agent merges its streams.
                        stream: Stream::Stdout,
                        offset: *offset,
                        stream_offset: *offset,
                        data: data.to_vec(),
                    };
                    *offset += chunk.data.len() as u64;
                    return Ok(Followed::Event(FollowEvent::Output(chunk)));
                }
                if execution.record.ending.is_some() {
                    self.source = Source::Ended(None);
                    return Ok(Followed::Event(FollowEvent::Ended(Box::new(
                        execution.record,
                    ))));
                }
                if self.client_gone.wait_timeout(POLL_PAUSE) {
                    return Ok(Followed::Over);
                }
            },
        }
    }
}

fn fetch(client: &AgentClient, id: &ExecutionId) -> Result<Option<Execution>, RpcError> {
    let found = client.get_execution(id)?;
    Ok(found.map(|(record, output)| Execution {
        record,
        output: output.into_bytes(),
    }))
}

fn unreachable(agent: &AgentId, source: RpcError) -> ControlError {
    ControlError::AgentUnreachable {
        agent: agent.clone(),
        source,
    }
}

/// What is known of an execution whose agent has nothing to say about it any more.
fn lost(route: &Route, why: &str) -> Execution {
    lost_on(
        &route.execution,
        &route.agent,
        &route.function,
        route.accepted_at,
        why,
    )
}

fn lost_on(
    id: &ExecutionId,
    agent: &AgentId,
    function: &FunctionName,
    at: Timestamp,
    why: &str,
) -> Execution {
    Execution {
        record: ExecutionRecord {
            id: id.clone(),
            agent: agent.clone(),
            function: function.clone(),
            function_version: 0,
            ending: Some(Ending::Lost),
            error: format!("lost: {why}"),
            started_at: at,
            status_at: at,
            duration: Duration::ZERO,
            queued: Duration::ZERO,
            stdout_bytes: 0,
            stderr_bytes: 0,
            truncated: false,
            usage: Usage::default(),
        },
        output: Vec::new(),
    }
}
