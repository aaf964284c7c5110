//! Executions after they were handed over: found, read, followed, listed, cancelled.
//!
//! The owning agent has the record; the control plane knows the way to it. An agent that cannot
//! be asked is an outage and is said so: never "not found", never an empty list. `search` finds the
//! agent, `follow` tells what comes, `routes` remembers and forgets the way.

mod error;
mod follow;
mod routes;
mod search;

use std::sync::Arc;
use std::time::Duration;

pub use error::ExecutionError;
pub use follow::{Follow, Followed};
use search::{Whereabouts, unreachable};

use super::fleet::Fleet;
use super::links::Links;
use crate::base::causes::with_causes;
use crate::base::clock::Clock;
use crate::base::pool::{Pool, PoolLimits};
use crate::base::threads::Supervisor;
use crate::model::execution::{Ending, Executed, ExecutionRecord, Status};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::model::output::{Output, Stream};
use crate::rpc::RpcError;
use crate::store::{Route, Store};
use crate::wire::execution::{CancelOutcome, ExecutionQuery};
use crate::wire::output::{OutputPiece, OutputQuery, Selection};

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

/// See the module's text.
pub struct Executions {
    fleet: Arc<Fleet>,
    links: Arc<Links>,
    store: Arc<dyn Store>,
    clock: Clock,
    retention: Duration,
    asks: Pool,
}

/// Which executions to list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only of this function.
    pub function: Option<FunctionName>,
    /// Only in this state.
    pub status: Option<Status>,
    /// At the most.
    pub limit: usize,
    /// Only those older than this one.
    pub before: Option<ExecutionId>,
}

/// A page of a listing.
#[derive(Debug)]
pub struct Page {
    /// Newest first, without their output.
    pub records: Vec<ExecutionRecord>,
    /// Pass as `before` for the next page.
    pub next: Option<ExecutionId>,
    /// Agents whose executions are missing here.
    pub unreachable: Vec<AgentId>,
}

impl Executions {
    /// `retention`: how long routes outlive their executions, as records do.
    pub fn new(
        fleet: Arc<Fleet>,
        links: Arc<Links>,
        store: Arc<dyn Store>,
        clock: Clock,
        retention: Duration,
        supervisor: &Supervisor,
    ) -> Executions {
        Executions {
            fleet,
            links,
            store,
            clock,
            retention,
            asks: Pool::new("ask", ASK_POOL, supervisor),
        }
    }

    /// The record with the output so far.
    ///
    /// # Errors
    /// Unknown, or its agent cannot be asked.
    pub fn get(&self, id: &ExecutionId) -> Result<Executed, ExecutionError> {
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
                    .and_then(|client| client.get_execution(id))
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
                    (None, _) => Err(ExecutionError::NotFound(id.clone())),
                }
            }
        }
    }

    /// Ends it; its whole process tree is dead when this returns.
    ///
    /// # Errors
    /// Unknown, ended already, or its agent cannot be asked or cannot confirm.
    pub fn cancel(&self, id: &ExecutionId) -> Result<(), ExecutionError> {
        let agent = match self.find(id)? {
            Whereabouts::Orphaned(route) => {
                return Err(ExecutionError::Ended {
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
                | RpcError::Status { .. } => ExecutionError::CancelUnconfirmed {
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
            CancelOutcome::AlreadyEnded => Err(ExecutionError::Ended {
                id: id.clone(),
                status: self.get(id)?.record.status(),
            }),
            CancelOutcome::UnknownExecution => {
                let status = self.get(id)?.record.status();
                Err(ExecutionError::Ended {
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
    ) -> Result<OutputPiece, ExecutionError> {
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

    /// Records of all agents, newest first, without their output.
    pub fn list(&self, listing: &Listing) -> Page {
        let limit = listing.limit.clamp(1, MAX_LISTED);
        let query = ExecutionQuery {
            function: listing.function.clone(),
            status: listing.status,
            // One more than shown, to know whether there are more.
            limit: u32::try_from(limit + 1).unwrap_or(u32::MAX),
            before: listing.before.clone(),
            ended_after: None,
        };
        let answers = self.ask_all(move |client| client.list_executions(&query));
        let mut records = Vec::new();
        let mut unreachable = Vec::new();
        for (agent, answer) in answers {
            match answer {
                Ok(listed) => records.extend(listed),
                // A legacy agent keeps no list.
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
        Page {
            records,
            next,
            unreachable,
        }
    }

    fn read_merged_record(
        &self,
        id: &ExecutionId,
        offset: u64,
    ) -> Result<OutputPiece, ExecutionError> {
        let execution = self.get(id)?;
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(execution.output.bytes.len());
        Ok(OutputPiece {
            total: execution.output.bytes.len() as u64,
            data: execution.output.bytes[from..].to_vec(),
            ended: execution.record.ending.is_some(),
        })
    }
}

/// What is known of an execution whose agent has nothing to say about it any more.
fn lost(route: &Route, why: &str) -> Executed {
    let accepted = ExecutionRecord::accepted(
        route.execution.clone(),
        route.agent.clone(),
        route.function.clone(),
        0,
        route.accepted_at,
    );
    Executed {
        record: accepted.lost(why, route.accepted_at),
        output: Output::default(),
    }
}
