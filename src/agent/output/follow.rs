//! Output as it comes: woken by every append, read from the file.
//!
//! Invariant: chunks follow each other without gap or overlap, and all of them come before
//! [`FollowItem::Ended`].

use std::time::Duration;

use crossbeam_channel::{Receiver, after, bounded, never, select};

use super::error::OutputError;
use super::log::OutputLog;
use crate::base::cancel::Cancel;
use crate::model::output::{Cursor, OutputChunk};

/// Bytes of one chunk at the most: what a follower costs in memory, however far it is behind.
const CHUNK_BYTES: u64 = 64 * 1024;

/// A reader that waits for what is not there yet.
#[derive(Debug)]
pub(crate) struct Follower {
    log: OutputLog,
    news: Receiver<()>,
    cursor: Cursor,
    offset: u64,
}

/// What a follower gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FollowItem {
    /// The next piece.
    Chunk(OutputChunk),
    /// The execution has ended, and everything recorded has been given.
    Ended,
    /// Nothing came in time; the next call goes on waiting.
    TimedOut,
    /// The cancel was pulled.
    Cancelled,
}

impl Follower {
    pub(super) fn new(log: OutputLog, offset: u64) -> Follower {
        // One message is enough: it says that there is news, not what.
        let (wake, news) = bounded(1);
        log.subscribe(wake);
        Follower {
            log,
            news,
            cursor: Cursor::default(),
            offset,
        }
    }

    /// Waits for the next item, for `timeout` at the most if there is one, and until `cancel`.
    ///
    /// # Errors
    /// The system's reason for not giving what was recorded.
    pub(crate) fn next(
        &mut self,
        timeout: Option<Duration>,
        cancel: &Cancel,
    ) -> Result<FollowItem, OutputError> {
        let deadline = timeout.map_or_else(never, after);
        loop {
            if cancel.is_pulled() {
                return Ok(FollowItem::Cancelled);
            }
            let (chunk, ended) = self
                .log
                .next_chunk(&mut self.cursor, self.offset, CHUNK_BYTES)?;
            if let Some(chunk) = chunk {
                self.offset += chunk.data.len() as u64;
                return Ok(FollowItem::Chunk(chunk));
            }
            if ended {
                return Ok(FollowItem::Ended);
            }
            select! {
                recv(self.news) -> _ => {}
                recv(cancel.receiver()) -> _ => return Ok(FollowItem::Cancelled),
                recv(deadline) -> _ => return Ok(FollowItem::TimedOut),
            }
        }
    }
}
