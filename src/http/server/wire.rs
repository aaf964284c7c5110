//! A transport with what was read from it too early: the beginning of a body, or of the next
//! request. And the two waits that a handler may make on it, each with a deadline.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::transport::{Interest, Transport};

pub(in crate::http) struct Wire {
    pub(super) transport: Transport,
    /// Bytes read and not yet consumed, from `start`; without allocation when there are none.
    bytes: Vec<u8>,
    start: usize,
}

impl Wire {
    pub(super) fn new(transport: Transport) -> Wire {
        Wire {
            transport,
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// What was read and not yet consumed.
    pub(in crate::http) fn buffered(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Drops the first `count` of the buffered bytes, and the buffer with the last of them.
    pub(in crate::http) fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.bytes.len() {
            self.bytes = Vec::new();
            self.start = 0;
        }
    }

    /// Reads what is there past the buffer. `WouldBlock` when there is nothing; 0 at the end.
    pub(in crate::http) fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.transport.read(into) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Reads what is there into the buffer, through `scratch`, so that the buffer takes only the
    /// memory that the client's bytes need.
    pub(in crate::http) fn fill_now(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let count = self.read_now(scratch)?;
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(&scratch[..count]);
        Ok(count)
    }

    /// Waits until the readiness that the last `WouldBlock` asked for; `TimedOut` at `until`.
    pub(in crate::http) fn wait(&self, until: Instant) -> io::Result<()> {
        let flags = match self.transport.wants() {
            Interest::Read => PollFlags::POLLIN,
            Interest::Write => PollFlags::POLLOUT,
        };
        loop {
            let mut fds = [PollFd::new(self.transport.socket().as_fd(), flags)];
            match poll(&mut fds, timeout_until(until)) {
                Ok(0) if Instant::now() >= until => return Err(ErrorKind::TimedOut.into()),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Writes all of `bytes`, waiting up to `timeout` for each bit of progress.
    pub(in crate::http) fn write_all(
        &mut self,
        mut bytes: &[u8],
        timeout: Duration,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.transport.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wait(Instant::now() + timeout)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whole milliseconds, rounded up: rounded down, the last one would be spent spinning.
pub(super) fn timeout_until(until: Instant) -> PollTimeout {
    let left = until.saturating_duration_since(Instant::now());
    let millis = left.as_micros().div_ceil(1_000);
    i32::try_from(millis)
        .ok()
        .and_then(|millis| PollTimeout::try_from(millis).ok())
        .unwrap_or(PollTimeout::MAX)
}
