//! Fetches output that was too long to come along with its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::complaints::Complaints;
use super::keep::Records;
use crate::base::backoff::Backoff;
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::base::clock::Moment;
use crate::base::threads::lock;
use crate::control::links::Links;
use crate::model::ids::{AgentId, ExecutionId};
use crate::model::output::Segments;
use crate::rpc::follow::Next;
use crate::rpc::{AgentClient, RpcError};
use crate::store::StoreError;
use crate::store::history::{KeptOutput, Wholeness};
use crate::wire::error::ErrorKind;
use crate::wire::output::FollowEvent;

/// Outputs that are looked for at once.
const PORTION: usize = 64;
/// Outputs that are passed over because they cannot be had: with more, something else is wrong with the
/// agents.
const MOST_PASSED_OVER: usize = 256;
/// Before such an output is tried again, from its beginning.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Bytes that are written at once.
const PIECE_BYTES: usize = 256 << 10;
/// An agent that says nothing for this long while it has something to send is tried again later.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Outputs {
    pub records: Arc<Records>,
    pub links: Arc<Links>,
    pub complaints: Complaints,
    pub shutdown: Cancel,
    pub passed_over: Mutex<HashMap<ExecutionId, PassedOver>>,
}

/// An output that could not be had.
pub(super) struct PassedOver {
    pauses: Backoff,
    until: Moment,
}

/// What a go came to.
enum Progress {
    All,
    /// None failed, and some that did are to be tried later.
    SomeWait,
    /// What is to be said of the first that cannot be had.
    NotAll(String),
}

/// Why an output was not fetched. It is tried again.
#[derive(Debug, Error)]
enum FetchError {
    #[error("the agent does not give it")]
    Rpc(#[from] RpcError),
    #[error("it cannot be kept")]
    Store(#[from] StoreError),
    #[error("the agent sends nothing")]
    Silence,
    #[error("the control plane is shutting down")]
    ShuttingDown,
}

impl FetchError {
    /// Whether this output is to be tried later, and others first.
    fn passes_over(&self) -> bool {
        match self {
            FetchError::Rpc(error) => !matches!(error, RpcError::Unreachable),
            FetchError::Store(error) => matches!(error, StoreError::Corrupt { .. }),
            FetchError::Silence => true,
            FetchError::ShuttingDown => false,
        }
    }

    /// Whether it may well be otherwise with the next output, and nobody has to wait for that.
    fn concerns_one(&self) -> bool {
        let took_long = matches!(
            self,
            FetchError::Silence | FetchError::Rpc(RpcError::Deadline)
        );
        self.passes_over() && !took_long
    }
}

impl Outputs {
    /// Fetches everything that is still at an agent. Whether nothing is any more.
    pub(super) fn fetch_from(&self, agent: &AgentId) -> bool {
        let Some(view) = self.records.fleet.get(agent) else {
            return false;
        };
        let fetched = self
            .links
            .client(&view.agent)
            .map_err(FetchError::from)
            .and_then(|client| self.fetch_all(agent, &client));
        let complaint = match fetched {
            Ok(Progress::All) => {
                self.complaints.settle(agent);
                return true;
            }
            Ok(Progress::SomeWait) => return false,
            Ok(Progress::NotAll(first)) => first,
            Err(error) => format!("output stays there: {}", with_causes(&error)),
        };
        self.complaints.raise(agent, complaint);
        false
    }

    fn fetch_all(&self, agent: &AgentId, client: &AgentClient) -> Result<Progress, FetchError> {
        let fetched = self.fetch_due(agent, client);
        // Also for what came before something failed.
        self.records.refresh_marks(agent)?;
        Ok(match fetched? {
            Some(complaint) => Progress::NotAll(complaint),
            None if self.records.history.outputs_at(agent, 1)?.is_empty() => Progress::All,
            None => Progress::SomeWait,
        })
    }

    /// An output that cannot be had does not hold back the others. What is to be said of the first that could be
    /// had so far.
    fn fetch_due(
        &self,
        agent: &AgentId,
        client: &AgentClient,
    ) -> Result<Option<String>, FetchError> {
        let (mut complaint, mut failed) = (None, 0);
        while failed <= MOST_PASSED_OVER {
            let limit = PORTION + lock(&self.passed_over).len();
            let mut ids = self.records.history.outputs_at(agent, limit)?;
            ids.retain(|id| self.is_due(id));
            if ids.is_empty() {
                break;
            }
            for id in ids {
                match self.fetch(client, &id) {
                    Ok(()) => drop(lock(&self.passed_over).remove(&id)),
                    Err(error) => {
                        let why = with_causes(&error);
                        if error.passes_over() && self.pass_over(&id) {
                            complaint.get_or_insert_with(|| {
                                format!("the output of execution {id} stays there: {why}")
                            });
                        }
                        if !error.concerns_one() {
                            return complaint.map_or(Err(error), |said| Ok(Some(said)));
                        }
                        failed += 1;
                    }
                }
            }
        }
        Ok(complaint)
    }

    /// Whatever was passed over is tried with the next fetch.
    pub(super) fn try_all_again(&self) {
        lock(&self.passed_over).clear();
    }

    fn is_due(&self, id: &ExecutionId) -> bool {
        let passed_over = lock(&self.passed_over);
        let until = passed_over.get(id).map(|it| it.until);
        until.is_none_or(|until| self.records.clock.moment() >= until)
    }

    /// Whether it was not passed over before.
    fn pass_over(&self, id: &ExecutionId) -> bool {
        let mut passed_over = lock(&self.passed_over);
        let is_new = !passed_over.contains_key(id);
        if is_new && passed_over.len() >= MOST_PASSED_OVER {
            // Of agents that are gone, for the most part; the others are tried again now.
            passed_over.clear();
        }
        let now = self.records.clock.moment();
        let entry = passed_over.entry(id.clone()).or_insert_with(|| PassedOver {
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            until: now,
        });
        entry.until = now + entry.pauses.next_pause();
        is_new
    }

    fn fetch(&self, client: &AgentClient, id: &ExecutionId) -> Result<(), FetchError> {
        let mut follower = client.follow(id, 0)?;
        let mut fetched = Fetched::default();
        let wholeness = loop {
            let event = match follower.next(&self.shutdown, Some(Instant::now() + PATIENCE)) {
                Ok(Next::Event(event)) => event,
                Ok(Next::Over) => break Wholeness::Whole,
                Ok(Next::TimedOut) => return Err(FetchError::Silence),
                Ok(Next::Cancelled) => return Err(FetchError::ShuttingDown),
                Err(error) if is_gone(&error) => {
                    log::warn!("execution {id}: its agent does not have its output any more");
                    return Ok(self
                        .records
                        .history
                        .forget_outputs(std::slice::from_ref(id))?);
                }
                Err(error) => return Err(error.into()),
            };
            let mut chunk = match event {
                FollowEvent::Output(chunk) => chunk,
                FollowEvent::Ended(record) if record.is_missing_output(fetched.bytes) => {
                    break Wholeness::Partial;
                }
                FollowEvent::Ended(_) => break Wholeness::Whole,
            };
            let room = self.records.longest_output.saturating_sub(fetched.bytes);
            let is_cut = chunk.data.len() as u64 > room;
            if is_cut {
                chunk.data.truncate(usize::try_from(room).unwrap_or(0));
            }
            if !chunk.data.is_empty() {
                fetched.segments.extend(chunk.stream, fetched.bytes);
                fetched.bytes += chunk.data.len() as u64;
                fetched.piece.append(&mut chunk.data);
            }
            if fetched.piece.len() >= PIECE_BYTES {
                self.write(id, &mut fetched)?;
            }
            if is_cut {
                break Wholeness::Partial;
            }
        };
        self.write(id, &mut fetched)?;
        let kept = KeptOutput {
            wholeness,
            bytes: fetched.bytes,
            segments: fetched.segments,
        };
        self.records.history.complete_output(id, &kept)?;
        Ok(())
    }

    fn write(&self, id: &ExecutionId, fetched: &mut Fetched) -> Result<(), StoreError> {
        let piece = std::mem::take(&mut fetched.piece);
        if piece.is_empty() {
            return Ok(());
        }
        let position = fetched.bytes - piece.len() as u64;
        // Nobody waits for it any more when it was forgotten meanwhile; then nothing is added.
        self.records
            .history
            .add_output(id, position, piece)
            .map(drop)
    }
}

#[derive(Default)]
struct Fetched {
    bytes: u64,
    segments: Segments,
    /// What is fetched and not written yet.
    piece: Vec<u8>,
}

/// Whether the agent has no such execution any more.
fn is_gone(error: &RpcError) -> bool {
    error
        .refusal()
        .is_some_and(|refusal| refusal.kind == ErrorKind::ExecutionNotFound)
}
