//! Fetches output that was too long to come along with its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::keep::Records;
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
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
/// Bytes that are written at once.
const PIECE_BYTES: usize = 256 << 10;
/// An agent that says nothing for this long while it has something to send is tried again later.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Outputs {
    pub records: Arc<Records>,
    pub links: Arc<Links>,
    pub shutdown: Cancel,
}

/// Why an output was not fetched. It is tried again.
#[derive(Debug, Error)]
enum FetchError {
    #[error("its agent cannot be asked for it")]
    Rpc(#[from] RpcError),
    #[error("it cannot be kept")]
    Store(#[from] StoreError),
    #[error("its agent sends nothing")]
    Silence,
    #[error("the control plane is shutting down")]
    ShuttingDown,
}

impl Outputs {
    /// Fetches everything that is still at an agent.
    pub(super) fn fetch_from(&self, agent: &AgentId) {
        let Some(view) = self.records.fleet.get(agent) else {
            return;
        };
        loop {
            let ids = match self.records.history.outputs_at(agent, PORTION) {
                Ok(ids) if ids.is_empty() => return self.note_fetched(agent),
                Ok(ids) => ids,
                Err(error) => {
                    return log::warn!(
                        "agent {agent}: output stays there: {}",
                        with_causes(&error)
                    );
                }
            };
            for id in ids {
                let fetched = self
                    .links
                    .client(&view.agent)
                    .map_err(FetchError::from)
                    .and_then(|client| self.fetch(&client, &id));
                if let Err(error) = fetched {
                    return log::warn!(
                        "execution {id}: its output stays at {agent}: {}",
                        with_causes(&error)
                    );
                }
            }
        }
    }

    fn note_fetched(&self, agent: &AgentId) {
        if let Err(error) = self.records.refresh_marks(agent) {
            log::warn!(
                "agent {agent}: keeps what is kept here: {}",
                with_causes(&error)
            );
        }
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
            let FollowEvent::Output(mut chunk) = event else {
                break Wholeness::Whole;
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
