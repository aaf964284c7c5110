//! The body of a response that is produced while it is sent.

use std::io::{self, Write};
use std::time::Duration;

use super::response::{Stream, StreamFraming};
use super::server::Wire;

/// 64 KiB in one chunk: larger writes are cut, so that the copy that frames them stays small.
const CHUNK_BYTES: usize = 64 * 1024;

/// Sends each write at once, as one chunk, and waits while the client does not take it: up to
/// the write timeout without progress, which ends the stream with `TimedOut`.
pub struct BodyWriter<'c> {
    wire: &'c mut Wire,
    framing: StreamFraming,
    timeout: Duration,
    /// One chunk with its frame, kept for the next.
    framed: Vec<u8>,
}

/// Runs `stream`, and ends the body if it succeeds.
pub(super) fn send_stream(
    wire: &mut Wire,
    stream: Stream,
    framing: StreamFraming,
    timeout: Duration,
) -> io::Result<()> {
    let mut writer = BodyWriter {
        wire,
        framing,
        timeout,
        framed: Vec::new(),
    };
    stream(&mut writer)?;
    match framing {
        StreamFraming::Chunked => writer.wire.write_all(b"0\r\n\r\n", timeout),
        StreamFraming::UntilClose => Ok(()),
    }
}

impl Write for BodyWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(CHUNK_BYTES)];
        match self.framing {
            // An empty chunk would end the body.
            _ if taken.is_empty() => {}
            StreamFraming::Chunked => {
                self.framed.clear();
                write!(self.framed, "{:x}\r\n", taken.len())?;
                self.framed.extend_from_slice(taken);
                self.framed.extend_from_slice(b"\r\n");
                self.wire.write_all(&self.framed, self.timeout)?;
            }
            StreamFraming::UntilClose => self.wire.write_all(taken, self.timeout)?,
        }
        Ok(taken.len())
    }

    /// Nothing is held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
