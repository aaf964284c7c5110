//! An execution's output as it comes, and its final record.

use std::time::{Duration, Instant};

use super::error::ExecutionError;
use super::search::{Whereabouts, unreachable};
use super::{Executions, lost};
use crate::base::cancel::Cancel;
use crate::model::execution::ExecutionRecord;
use crate::model::ids::ExecutionId;
use crate::model::output::{OutputChunk, Stream};
use crate::rpc::follow::{Follower, Next};
use crate::rpc::{AgentClient, RpcError};
use crate::wire::output::FollowEvent;

/// Between two signs of life to a client that follows a silent execution: below the idle timeouts
/// that proxies commonly have (a minute).
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Between two questions to a legacy agent, which cannot push output.
const POLL_PAUSE: Duration = Duration::from_millis(500);

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
    client_gone: Cancel,
}

enum Source {
    Pushed(Follower),
    /// A legacy agent is asked again and again.
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
    /// Output from `offset` of the merged output on, as it comes.
    ///
    /// # Errors
    /// As [`Executions::get`].
    pub fn follow(
        &self,
        id: &ExecutionId,
        offset: u64,
        client_gone: Cancel,
    ) -> Result<Follow, ExecutionError> {
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
                let Some(execution) = client.get_execution(id)? else {
                    log::warn!("execution {id}: its agent forgot it while it was followed");
                    self.source = Source::Ended(None);
                    return Ok(Followed::Over);
                };
                let from = usize::try_from(*offset).unwrap_or(usize::MAX);
                if let Some(data) = execution
                    .output
                    .bytes
                    .get(from..)
                    .filter(|data| !data.is_empty())
                {
                    let chunk = OutputChunk {
                        // A legacy agent merges its streams.
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
