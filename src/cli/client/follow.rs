//! Follows one execution's events to its end, over as many connections as that takes.
//!
//! Invariant: every byte of output is handed on once and in order, also when a new connection sends
//! some of it again.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use ureq::http::Method;

use super::call::Call;
use super::chunk::Chunk;
use super::document::Document;
use super::events::{Event, Events};
use super::http::Client;
use crate::base::backoff::Backoff;
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::cli::error::CliError;
use crate::contract::record::Record;
use crate::model::ids::ExecutionId;

/// After this long without an event or a connection that lasts, contact counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Hands every chunk to `on_chunk`, and returns the final record.
///
/// # Errors
/// The API's refusal, contact that is lost, or what `on_chunk` says.
pub(crate) fn follow(
    client: &Client,
    id: &ExecutionId,
    mut on_chunk: impl FnMut(&Chunk) -> Result<(), CliError>,
) -> Result<Document<Record>, CliError> {
    let mut progress = Progress::default();
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut last_contact = Instant::now();
    loop {
        match connection(client, id, &mut progress, &mut on_chunk) {
            Ok(Ended::WithRecord(record)) => return Ok(*record),
            Ok(Ended::CutOff { lasted }) if lasted >= LONGEST_PAUSE => {
                last_contact = Instant::now();
                backoff.reset();
            }
            Ok(Ended::CutOffAfterEvents) => {
                last_contact = Instant::now();
                backoff.reset();
            }
            Err(error) if !is_passing(&error) => return Err(error),
            Ok(Ended::CutOff { .. }) | Err(_) if last_contact.elapsed() >= PATIENCE => {
                return Err(CliError::LostContact {
                    execution_id: id.to_string(),
                });
            }
            Ok(Ended::CutOff { .. }) | Err(_) => {}
        }
        Cancel::never().wait_timeout(backoff.next_pause());
    }
}

#[derive(Debug, Default)]
struct Progress {
    last_event_id: String,
    next_offset: u64,
}

enum Ended {
    WithRecord(Box<Document<Record>>),
    CutOffAfterEvents,
    /// Nothing came: a quiet function, or a server that hangs up at once.
    CutOff {
        lasted: Duration,
    },
}

fn connection(
    client: &Client,
    id: &ExecutionId,
    progress: &mut Progress,
    on_chunk: &mut impl FnMut(&Chunk) -> Result<(), CliError>,
) -> Result<Ended, CliError> {
    let mut call = Call::new(Method::GET, format!("/executions/{id}/events"))
        .header("accept", "text/event-stream");
    if !progress.last_event_id.is_empty() {
        call = call.header("last-event-id", progress.last_event_id.clone());
    }
    let mut events = Events::new(client.stream(call)?);
    let since = Instant::now();
    let mut had_events = false;
    loop {
        // A connection that fails is taken up again like one that ends.
        let Ok(Some(event)) = events.next_event() else {
            return Ok(if had_events {
                Ended::CutOffAfterEvents
            } else {
                Ended::CutOff {
                    lasted: since.elapsed(),
                }
            });
        };
        had_events = true;
        match event.name.as_str() {
            "output" => progress.output(client, event, on_chunk)?,
            "ended" => return Ok(Ended::WithRecord(read(client, &event)?)),
            // Events that later versions add.
            _ => {}
        }
    }
}

impl Progress {
    fn output(
        &mut self,
        client: &Client,
        event: Event,
        on_chunk: &mut impl FnMut(&Chunk) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let chunk = Chunk::new(read(client, &event)?);
        let mut chunk = chunk.ok_or_else(|| {
            client.protocol(format!(
                "event {} holds no output that can be decoded",
                event.id
            ))
        })?;
        let end = chunk.offset.saturating_add(chunk.data.len() as u64);
        let known = self.next_offset.saturating_sub(chunk.offset);
        let known = usize::try_from(known)
            .unwrap_or(usize::MAX)
            .min(chunk.data.len());
        chunk.data.drain(..known);
        chunk.offset += known as u64;
        if !chunk.data.is_empty() {
            on_chunk(&chunk)?;
        }
        self.next_offset = self.next_offset.max(end);
        self.last_event_id = event.id;
        Ok(())
    }
}

fn read<T: DeserializeOwned>(client: &Client, event: &Event) -> Result<T, CliError> {
    serde_json::from_str(&event.data).map_err(|error| {
        client.protocol(format!(
            "an event \"{}\" cannot be read: {}",
            event.name,
            with_causes(&error)
        ))
    })
}

/// Whether the same request may succeed later.
fn is_passing(error: &CliError) -> bool {
    match error {
        CliError::Unreachable { .. } => true,
        CliError::Api(error) => error.status == 429 || error.status >= 500,
        CliError::Usage { .. }
        | CliError::Protocol { .. }
        | CliError::PipeClosed
        | CliError::Local(_)
        | CliError::LostContact { .. } => false,
    }
}
