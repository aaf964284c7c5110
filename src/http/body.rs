//! The body of a request, read by its handler with limits and deadlines.
//!
//! Invariants: nothing is allocated on the word of a Content-Length; a body is read up to its
//! end and never past it; after an error, or unread, it costs the connection.

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

use super::limits::Limits;
use super::parse::{ChunkError, Chunked, Framing, Head};
use super::server::Wire;
use super::status::Status;

/// 64 KiB: the most that is read, and held beside the caller's memory, at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// 64 KiB of an unread body are thrown away if they are at hand; a reconnection costs less
/// than reading more.
const DISCARDED_BYTES: usize = 64 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Declared or found to be larger than the caller's limit.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// The body's deadline, or the time between two arrivals, has passed.
    #[error("the body did not arrive in time")]
    Timeout,
    /// The client ended before the body did.
    #[error("the body ended early")]
    Truncated,
    /// The chunked coding is broken.
    #[error("the body's coding is broken")]
    Malformed(#[from] ChunkError),
    /// The connection failed.
    #[error("the connection failed")]
    Disconnected(#[source] io::Error),
    /// Whatever the body was copied to failed.
    #[error("the body could not be stored")]
    Destination(#[source] io::Error),
    /// The body was read before.
    #[error("the body was read before")]
    AlreadyRead,
}

impl BodyError {
    /// The status that tells the client.
    pub const fn status(&self) -> Status {
        match self {
            BodyError::TooLarge { .. } => Status::ContentTooLarge,
            BodyError::Timeout => Status::RequestTimeout,
            BodyError::Truncated | BodyError::Malformed(_) | BodyError::Disconnected(_) => {
                Status::BadRequest
            }
            BodyError::Destination(_) | BodyError::AlreadyRead => Status::InternalServerError,
        }
    }
}

pub struct Body<'c> {
    wire: &'c mut Wire,
    declared: Framing,
    state: State,
    /// The client waits for `100 Continue`.
    owes_continue: bool,
    due: Instant,
    read_timeout: Duration,
    write_timeout: Duration,
}

enum State {
    Length { left: u64 },
    Chunked(Chunked),
    Ended,
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    UntilDue,
    Never,
}

impl<'c> Body<'c> {
    pub(super) fn new(wire: &'c mut Wire, head: &Head, limits: &Limits) -> Body<'c> {
        let state = match head.framing {
            Framing::None | Framing::Length(0) => State::Ended,
            Framing::Length(left) => State::Length { left },
            Framing::Chunked => State::Chunked(Chunked::default()),
        };
        Body {
            wire,
            declared: head.framing,
            owes_continue: head.expects_continue,
            state,
            due: Instant::now() + limits.body_deadline,
            read_timeout: limits.read_timeout,
            write_timeout: limits.write_timeout,
        }
    }

    /// Bytes, if the client has declared them; 0 without a body, none for a chunked one.
    pub(crate) fn content_length(&self) -> Option<u64> {
        match self.declared {
            Framing::None => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        }
    }

    /// Whether the head declares a body, be it an empty one: for those who answer 411.
    pub(crate) fn is_declared(&self) -> bool {
        self.declared != Framing::None
    }

    /// The whole body, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`BodyError`]; a declared length beyond the limit is refused before a byte is read.
    pub fn read_to_vec(&mut self, limit: usize) -> Result<Vec<u8>, BodyError> {
        let mut whole = Vec::new();
        self.copy_to(&mut whole, limit as u64)?;
        Ok(whole)
    }

    /// Copies the whole body, of at most `limit` bytes, and says how many they were. What
    /// `destination` has taken before an error is its caller's to remove.
    ///
    /// # Errors
    /// As [`Body::read_to_vec`], and [`BodyError::Destination`].
    pub fn copy_to(&mut self, destination: &mut dyn Write, limit: u64) -> Result<u64, BodyError> {
        let declared = self.content_length();
        if declared.is_some_and(|length| length > limit) {
            return Err(BodyError::TooLarge { limit });
        }
        let piece_bytes = declared
            .and_then(|length| usize::try_from(length).ok())
            .map_or(PIECE_BYTES, |length| length.min(PIECE_BYTES));
        // One byte at least: an empty piece would read as the end.
        let mut piece = vec![0; piece_bytes.max(1)];
        let mut copied = 0u64;
        loop {
            let count = match self.read_piece(&mut piece, Wait::UntilDue) {
                Ok(0) => return Ok(copied),
                Ok(count) => count,
                Err(error) => return Err(self.failed(error)),
            };
            copied += count as u64;
            if copied > limit {
                return Err(self.failed(BodyError::TooLarge { limit }));
            }
            if let Err(error) = destination.write_all(&piece[..count]) {
                return Err(self.failed(BodyError::Destination(error)));
            }
        }
    }

    /// Throws away a small rest that is at hand; whether the body has ended.
    pub(super) fn finish(&mut self) -> bool {
        // A client told nothing may send the body or not: what follows is not known.
        if self.owes_continue && self.wire.buffered().is_empty() {
            return matches!(self.state, State::Ended);
        }
        let mut left = DISCARDED_BYTES;
        let mut piece = [0; 4 * 1024];
        while left > 0 && !matches!(self.state, State::Ended | State::Failed) {
            match self.read_piece(&mut piece, Wait::Never) {
                Ok(count) => left = left.saturating_sub(count.max(1)),
                Err(_) => return false,
            }
        }
        matches!(self.state, State::Ended)
    }

    fn failed(&mut self, error: BodyError) -> BodyError {
        self.state = State::Failed;
        error
    }

    /// Up to `into.len()` bytes of the body; 0 at its end.
    fn read_piece(&mut self, into: &mut [u8], wait: Wait) -> Result<usize, BodyError> {
        match &self.state {
            State::Ended => Ok(0),
            State::Failed => Err(BodyError::AlreadyRead),
            State::Length { left } => {
                let left = *left;
                self.read_counted(into, left, wait)
            }
            State::Chunked(_) => self.read_chunked(into, wait),
        }
    }

    fn read_counted(&mut self, into: &mut [u8], left: u64, wait: Wait) -> Result<usize, BodyError> {
        let most = usize::try_from(left).map_or(into.len(), |left| left.min(into.len()));
        let buffered = self.wire.buffered();
        let count = if buffered.is_empty() {
            self.await_bytes(wait, |wire| wire.read_now(&mut into[..most]))?
        } else {
            let count = buffered.len().min(most);
            into[..count].copy_from_slice(&buffered[..count]);
            self.wire.consume(count);
            count
        };
        self.state = match left - count as u64 {
            0 => State::Ended,
            left => State::Length { left },
        };
        Ok(count)
    }

    fn read_chunked(&mut self, into: &mut [u8], wait: Wait) -> Result<usize, BodyError> {
        loop {
            if self.wire.buffered().is_empty() {
                self.await_bytes(wait, |wire| wire.fill_now(into))?;
            }
            let State::Chunked(decoder) = &mut self.state else {
                return Ok(0);
            };
            let buffered = self.wire.buffered();
            // No more than fits: a decoder's step gives at most what it was given.
            let progress = decoder.decode(&buffered[..buffered.len().min(into.len())])?;
            let count = progress.data.len();
            into[..count].copy_from_slice(&buffered[progress.data]);
            self.wire.consume(progress.consumed);
            if progress.done {
                self.state = State::Ended;
                return Ok(count);
            }
            if count > 0 {
                return Ok(count);
            }
        }
    }

    fn await_bytes(
        &mut self,
        wait: Wait,
        mut read: impl FnMut(&mut Wire) -> io::Result<usize>,
    ) -> Result<usize, BodyError> {
        if wait == Wait::UntilDue && std::mem::take(&mut self.owes_continue) {
            self.wire
                .write_all(CONTINUE, self.write_timeout)
                .map_err(disconnected)?;
        }
        let until = self.due.min(Instant::now() + self.read_timeout);
        loop {
            // Beside the wait, which a client that always has a byte for us never comes to.
            if Instant::now() >= until {
                return Err(BodyError::Timeout);
            }
            match read(self.wire) {
                Ok(0) => return Err(BodyError::Truncated),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock && wait == Wait::UntilDue => {
                    self.wire.wait(until).map_err(disconnected)?;
                }
                Err(error) => return Err(disconnected(error)),
            }
        }
    }
}

fn disconnected(error: io::Error) -> BodyError {
    match error.kind() {
        ErrorKind::TimedOut => BodyError::Timeout,
        _ => BodyError::Disconnected(error),
    }
}
