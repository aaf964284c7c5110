//! An execution's output as it comes, and its final record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::error::ExecutionError;
use super::locate::{Executions, Whereabouts, unreachable};
use crate::base::cancel::Cancel;
use crate::control::fleet::AgentView;
use crate::control::records::{KeptExecution, Records};
use crate::model::execution::{Ending, ExecutionRecord};
use crate::model::ids::ExecutionId;
use crate::model::output::{Cursor, OutputChunk, Stream};
use crate::rpc::follow::{Follower, Next};
use crate::rpc::{AgentClient, RpcError};
use crate::store::StoreError;
use crate::store::history::Wholeness;
use crate::wire::output::FollowEvent;

/// Between two signs of life to a client that follows a silent execution: below the idle timeouts
/// that proxies commonly have (a minute).
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Bytes of one chunk at the most, as agents have it.
const CHUNK_BYTES: u64 = 64 << 10;

/// Between two questions to a legacy agent, which cannot push output.
const POLL_PAUSE: Duration = Duration::from_millis(500);

/// What waiting for the next event came to.
#[derive(Debug)]
pub(crate) enum Followed {
    Event(FollowEvent),
    /// Nothing happened for a while; ask again.
    Silence,
    /// The record was the event before, or the client left.
    Over,
}

/// Output as it comes; ends with the final record.
pub(crate) struct Follow {
    source: Source,
    records: Arc<Records>,
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
    /// It has ended, and all there is of its output is here.
    Kept(Box<KeptOutputReader>),
    /// There is nothing to wait for.
    Ended(Option<Box<ExecutionRecord>>),
}

/// Goes through the output of an execution that has come home.
struct KeptOutputReader {
    records: Arc<Records>,
    kept: KeptExecution,
    cursor: Cursor,
    offset: u64,
}

/// Why following broke off; the client may follow again from where it stands.
#[derive(Debug, Error)]
pub(crate) enum FollowError {
    /// The connection to the agent broke.
    #[error("it cannot be followed at its agent")]
    Agent(#[from] RpcError),
    /// The history cannot be read.
    #[error("its output cannot be read")]
    Store(#[from] StoreError),
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
    pub(crate) fn follow(
        &self,
        id: &ExecutionId,
        offset: u64,
        client_gone: Cancel,
    ) -> Result<Follow, ExecutionError> {
        let source = match self.locate(id)? {
            Whereabouts::Kept(kept) if kept.output.wholeness != Wholeness::AtAgent => {
                Source::Kept(Box::new(KeptOutputReader {
                    records: Arc::clone(&self.contacts.records),
                    kept: *kept,
                    cursor: Cursor::default(),
                    offset,
                }))
            }
            Whereabouts::Kept(kept) => self.follow_at(&self.agent_of(&kept)?, id, offset)?,
            Whereabouts::At { agent, .. } => {
                // Asked first, so that an unknown execution is an error and not an empty stream.
                let execution = self.get(id)?;
                if execution.record.ending == Some(Ending::Lost) {
                    Source::Ended(Some(Box::new(execution.record)))
                } else {
                    self.follow_at(&agent, id, offset)?
                }
            }
        };
        Ok(Follow {
            source,
            records: Arc::clone(&self.contacts.records),
            client_gone,
        })
    }

    fn follow_at(
        &self,
        agent: &AgentView,
        id: &ExecutionId,
        offset: u64,
    ) -> Result<Source, ExecutionError> {
        let followed = self
            .contacts
            .links
            .client_to_ask(&agent.agent)
            .and_then(|client| match client.follow(id, offset) {
                Ok(follower) => Ok(Source::Pushed(follower)),
                Err(RpcError::Unimplemented) => Ok(Source::Polled {
                    client,
                    id: id.clone(),
                    offset,
                }),
                Err(error) => Err(error),
            });
        followed.map_err(|error| unreachable(&agent.agent.id, error))
    }
}

impl KeptOutputReader {
    /// The next piece, at most that of one stream; `None` after the last one.
    fn next_chunk(&mut self) -> Result<Option<OutputChunk>, StoreError> {
        let (id, output) = (&self.kept.record.id, &self.kept.output);
        self.cursor = output.segments.seek(self.cursor, self.offset, output.bytes);
        let segment = output.segments.at(self.cursor, output.bytes);
        let end = segment.end.min(self.offset.saturating_add(CHUNK_BYTES));
        if self.offset >= end {
            return Ok(None);
        }
        let data = self.records.history().read_output(id, self.offset..end)?;
        if data.is_empty() {
            // It was forgotten while it was read.
            self.kept.output.wholeness = Wholeness::Partial;
            return Ok(None);
        }
        let chunk = OutputChunk {
            stream: segment.stream,
            offset: self.offset,
            stream_offset: segment.stream_start + (self.offset - segment.start),
            data,
        };
        self.offset += chunk.data.len() as u64;
        Ok(Some(chunk))
    }
}

impl Follow {
    /// The next piece, or the final record.
    ///
    /// # Errors
    /// See [`FollowError`].
    pub(crate) fn next_event(&mut self) -> Result<Followed, FollowError> {
        match &mut self.source {
            Source::Pushed(follower) => {
                // Falls silent now and then, so that the caller can tell its client that all is well.
                let event =
                    match follower.next(&self.client_gone, Some(Instant::now() + HEARTBEAT))? {
                        Next::Event(event) => {
                            if let FollowEvent::Ended(record) = &event {
                                self.records.keep_told([&**record]);
                            }
                            Followed::Event(event)
                        }
                        Next::TimedOut => Followed::Silence,
                        Next::Over | Next::Cancelled => Followed::Over,
                    };
                Ok(event)
            }
            Source::Kept(reader) => Ok(Followed::Event(match reader.next_chunk()? {
                Some(chunk) => FollowEvent::Output(chunk),
                None => {
                    let record = reader.kept.shown_record();
                    self.source = Source::Ended(None);
                    FollowEvent::Ended(Box::new(record))
                }
            })),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock, Timestamp};
    use crate::base::units::Mib;
    use crate::control::fleet::{Fleet, QueueLimits};
    use crate::model::ends::{Ended, EndedOutput};
    use crate::model::ids::{AgentId, FunctionName};
    use crate::model::output::Output;
    use crate::store::history::{HistoryStore, SqliteHistory};
    use crate::store::{EmbeddedStore, Store};

    const LIMITS: QueueLimits = QueueLimits {
        per_function: 1,
        in_all: 1,
    };

    #[test]
    fn output_that_is_forgotten_while_it_is_followed_counts_as_truncated() {
        let directory = tempfile::tempdir().expect("tempdir");
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.path()).expect("store"));
        let history: Arc<dyn HistoryStore> =
            Arc::new(SqliteHistory::open(directory.path()).expect("history"));
        let clock = Clock::system();
        let fleet = Fleet::load(Arc::clone(&store), clock.clone(), LIMITS).expect("fleet");
        let records = Records::new(Arc::clone(&history), store, fleet, clock, Mib(1));

        let id = ExecutionId::new("e").expect("id");
        let accepted = ExecutionRecord::accepted(
            id.clone(),
            AgentId::new("a").expect("id"),
            FunctionName::new("f").expect("name"),
            1,
            Timestamp::from_millis(0),
        );
        let record = ExecutionRecord {
            ending: Some(Ending::Exited(0)),
            ..accepted
        };
        let output = EndedOutput::Whole(Output::of_stdout(vec![0; 100_000]));
        history.keep(vec![Ended { record, output }]).expect("keep");
        let kept = records.find(&id).expect("find").expect("kept");
        let records = Arc::new(records);
        let mut follow = Follow {
            records: Arc::clone(&records),
            source: Source::Kept(Box::new(KeptOutputReader {
                records,
                kept,
                cursor: Cursor::default(),
                offset: 0,
            })),
            client_gone: Cancel::never(),
        };

        let first = follow.next_event().expect("output");
        assert!(matches!(first, Followed::Event(FollowEvent::Output(_))));
        history.forget_outputs(&[id]).expect("forget");
        match follow.next_event().expect("the record") {
            Followed::Event(FollowEvent::Ended(record)) => assert!(record.truncated),
            other => panic!("{other:?}"),
        }
    }
}
