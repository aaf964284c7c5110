//! A connection: a socket, TLS and an HTTP/2 session, used by any number of threads.
//!
//! One thread *reads*: it waits for the socket and handles what arrives ([`Link::run`]). Every other one
//! changes the session under a short lock and takes the *pen*: it seals what is queued and sends it, outside
//! of the lock. Who finds the pen taken leaves, because its holder looks again.
//!
//! Invariants: the lock is never held while a thread waits for anything; only the reader ever waits for the
//! socket, and for both directions at once, so that two ends that both have full sockets still read; bytes go
//! out in the order in which they were sealed, because the pen is never held twice; once a link is over,
//! everybody who waits for it is told, once.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};

use super::keepalive::{Keepalive, Silence};
use super::session::{Code, Event, Session};
use super::transport::Transport;
use crate::base::causes::with_causes;
use crate::base::threads::lock;
use std::os::fd::AsRawFd;

mod streams;

pub(in crate::rpc) use streams::Streams;

/// Sealed and sent at a time: what a socket takes at once.
const BATCH_BYTES: usize = 64 << 10;
/// What a caller sends of everybody's before the reader goes on: his own answer may have come meanwhile.
const BATCHES_OF_A_CALLER: usize = 4;
/// Read at a time.
const ARRIVAL_BYTES: usize = 64 << 10;
/// Frames without end from a peer that nobody can answer are read no further ahead than this many times.
const ARRIVALS_IN_A_ROW: usize = 16;

/// A connection, shared by the thread that runs it and everybody who uses it.
pub(in crate::rpc) struct Link<S> {
    socket: TcpStream,
    /// Ends the reader's wait.
    wake: EventFd,
    core: Mutex<Core<S>>,
}

struct Core<S> {
    transport: Transport,
    session: Session,
    streams: S,
    silence: Silence,
    pen: Pen,
    /// Sealed, and not taken by the socket yet.
    sealed: Vec<u8>,
    /// When the reader wakes up by itself.
    wakes_at: Instant,
    over: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pen {
    Free,
    Taken,
    /// The reader is to take it, once the socket has room.
    ForTheReader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Reader,
    Caller,
}

/// The link was over before; everybody has been told why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Over;

impl<S: Streams> Link<S> {
    /// After its handshake.
    pub(in crate::rpc) fn new(
        socket: TcpStream,
        transport: Transport,
        session: Session,
        streams: S,
        keepalive: Keepalive,
    ) -> io::Result<Link<S>> {
        socket.set_nonblocking(true)?;
        // tcp(7): what a peer leaves in our buffer for so long, also by a closed window, breaks the connection.
        let unread_most = keepalive.unread_most().as_millis() as u32;
        setsockopt(&socket, sockopt::TcpUserTimeout, &unread_most)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let now = Instant::now();
        Ok(Link {
            socket,
            wake: EventFd::from_flags(flags)?,
            core: Mutex::new(Core {
                transport,
                session,
                streams,
                silence: Silence::new(keepalive, now),
                pen: Pen::Free,
                sealed: Vec::new(),
                wakes_at: now,
                over: None,
            }),
        })
    }

    /// Changes the session or its streams, and sends what comes of it.
    ///
    /// # Errors
    /// [`Over`].
    pub(in crate::rpc) fn with<T>(
        &self,
        act: impl FnOnce(&mut Session, &mut S) -> T,
    ) -> Result<T, Over> {
        let mut core = self.open()?;
        let core_ref = &mut *core;
        let value = act(&mut core_ref.session, &mut core_ref.streams);
        self.write(core, Who::Caller);
        Ok(value)
    }

    /// The same for what gives the other end nothing to hear of.
    ///
    /// # Errors
    /// [`Over`].
    pub(in crate::rpc) fn look<T>(
        &self,
        act: impl FnOnce(&mut Session, &mut S) -> T,
    ) -> Result<T, Over> {
        let mut core = self.open()?;
        let core = &mut *core;
        Ok(act(&mut core.session, &mut core.streams))
    }

    fn open(&self) -> Result<MutexGuard<'_, Core<S>>, Over> {
        let core = lock(&self.core);
        if core.over.is_some() {
            return Err(Over);
        }
        Ok(core)
    }

    /// Has the reader look at once whether something is due before it would wake up by itself.
    pub(in crate::rpc) fn due_at(&self, moment: Instant) {
        if moment < lock(&self.core).wakes_at {
            self.wake_reader();
        }
    }

    /// Ends the link for everybody; its reader returns.
    pub(in crate::rpc) fn close(&self, reason: &str) {
        let mut core = lock(&self.core);
        core.end(reason);
        drop(core);
        self.wake_reader();
    }

    /// Serves the connection until it is over, on the thread that is its reader. Why it ended is what its streams
    /// were told.
    pub(in crate::rpc) fn run(&self, mut on_job: impl FnMut(S::Job)) {
        let mut arrival = vec![0; ARRIVAL_BYTES];
        let mut frames = Vec::new();
        // What came right behind the handshake.
        lock(&self.core).take(&[], &mut frames);
        while let Some((wants_out, timeout)) = self.before_waiting() {
            while let Some(job) = self.next_job() {
                on_job(job);
            }
            let ready = match self.wait(wants_out, timeout) {
                Ok(ready) => ready,
                Err(error) => {
                    let why = with_causes(&error);
                    lock(&self.core).end(&format!("the connection cannot be waited for: {why}"));
                    break;
                }
            };
            if ready.is_readable {
                self.read(&mut arrival, &mut frames);
            }
            if ready.is_writable {
                let mut core = lock(&self.core);
                if core.pen == Pen::ForTheReader {
                    core.pen = Pen::Free;
                }
                self.write(core, Who::Reader);
            }
        }
        // The others are dropped outside of the lock, which some of them take.
        while let Some(job) = self.next_job() {
            if S::outlives_the_link(&job) {
                on_job(job);
            }
        }
        // The last words, as far as they go.
        let core = lock(&self.core);
        self.say_goodbye(core);
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    fn next_job(&self) -> Option<S::Job> {
        lock(&self.core).streams.next_job()
    }

    /// Whether to wait for room in the socket too, and for how long; `None` once the link is over.
    fn before_waiting(&self) -> Option<(bool, Duration)> {
        let mut core = lock(&self.core);
        let now = Instant::now();
        let core_ref = &mut *core;
        let due = core_ref.streams.due(&mut core_ref.session, now);
        let is_idle = core_ref.streams.is_idle();
        let silence = match core_ref.silence.next(now, is_idle) {
            super::keepalive::Next::Wait(until) => until,
            super::keepalive::Next::Ask(until) => {
                if core_ref.session.ping().is_err() {
                    core_ref.end("memory ran out");
                }
                until
            }
            super::keepalive::Next::Dead => {
                core_ref.end("the other end does not answer any more");
                return None;
            }
        };
        let next = due.map_or(silence, |due| due.min(silence));
        core.wakes_at = next;
        if !core.session.is_alive() {
            core.end("the other end closed the connection");
        }
        if core.over.is_some() {
            return None;
        }
        self.write(core, Who::Reader);
        let mut core = lock(&self.core);
        let wants_out = core.pen == Pen::ForTheReader;
        // Who has the pen wakes us once he has put it down.
        if core.pen == Pen::Free && !core.session.is_alive() {
            core.end("this end closed the connection");
        }
        if core.over.is_some() {
            return None;
        }
        Some((wants_out, next.saturating_duration_since(now)))
    }

    fn wait(&self, wants_out: bool, timeout: Duration) -> io::Result<Ready> {
        let mut interest = PollFlags::POLLIN;
        interest.set(PollFlags::POLLOUT, wants_out);
        let mut fds = [
            PollFd::new(self.socket.as_fd(), interest),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
        ];
        // Rounded up: else the last millisecond is spent waking up.
        let timeout = timeout + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let of = |fd: &PollFd<'_>| fd.revents().unwrap_or(PollFlags::empty());
        let (socket, wake) = (of(&fds[0]), of(&fds[1]));
        if !wake.is_empty() {
            // Nothing to be read is fine, too.
            let _ = self.wake.read();
        }
        // An error shows when it is read.
        let is_readable = !(socket - PollFlags::POLLOUT).is_empty();
        Ok(Ready {
            is_readable,
            is_writable: socket.contains(PollFlags::POLLOUT) || !wake.is_empty(),
        })
    }

    fn read(&self, arrival: &mut [u8], frames: &mut Vec<u8>) {
        for _ in 0..ARRIVALS_IN_A_ROW {
            let received = recv(self.socket.as_raw_fd(), arrival, MsgFlags::empty());
            let mut core = lock(&self.core);
            let count = match received {
                Ok(0) => return core.end("the other end closed the connection"),
                Ok(count) => count,
                Err(Errno::EAGAIN | Errno::EINTR) => return,
                Err(errno) => return core.broke(errno),
            };
            core.take(&arrival[..count], frames);
            let is_over = core.over.is_some();
            self.write(core, Who::Reader);
            if is_over || count < arrival.len() {
                return;
            }
        }
    }

    /// Sends what there is to be sent, if nobody else does.
    fn write<'a>(&'a self, mut core: MutexGuard<'a, Core<S>>, who: Who) {
        if core.pen != Pen::Free || core.over.is_some() {
            return;
        }
        core.pen = Pen::Taken;
        let mut batches = 0;
        loop {
            let mut sealed = core.next_batch();
            if sealed.is_empty() {
                core.sealed = sealed;
                core.pen = Pen::Free;
                if who == Who::Caller && (core.over.is_some() || !core.session.is_alive()) {
                    drop(core);
                    self.wake_reader();
                }
                return;
            }
            if batches == BATCHES_OF_A_CALLER && who == Who::Caller {
                core.sealed = sealed;
                return self.leave_to_reader(core, who);
            }
            batches += 1;
            drop(core);
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            let sent = send(self.socket.as_raw_fd(), &sealed, flags);
            core = lock(&self.core);
            match sent {
                Ok(count) => {
                    sealed.drain(..count);
                    core.sealed = sealed;
                    if !core.sealed.is_empty() {
                        return self.leave_to_reader(core, who);
                    }
                }
                Err(Errno::EAGAIN) => {
                    core.sealed = sealed;
                    return self.leave_to_reader(core, who);
                }
                Err(Errno::EINTR) => core.sealed = sealed,
                Err(errno) => {
                    core.broke(errno);
                    core.pen = Pen::Free;
                    drop(core);
                    return self.wake_reader();
                }
            }
        }
    }

    fn leave_to_reader(&self, mut core: MutexGuard<'_, Core<S>>, who: Who) {
        core.pen = Pen::ForTheReader;
        drop(core);
        if who == Who::Caller {
            self.wake_reader();
        }
    }

    /// Why it ended, if the socket takes it at once.
    fn say_goodbye(&self, mut core: MutexGuard<'_, Core<S>>) {
        if core.pen == Pen::Taken {
            return;
        }
        let sealed = core.next_batch();
        drop(core);
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let _ = send(self.socket.as_raw_fd(), &sealed, flags);
    }

    fn wake_reader(&self) {
        // It refuses only when it is full, and then the reader is awake.
        let _ = self.wake.write(1);
    }
}

struct Ready {
    is_readable: bool,
    is_writable: bool,
}

impl<S: Streams> Core<S> {
    fn take(&mut self, arrived: &[u8], frames: &mut Vec<u8>) {
        self.silence.heard(Instant::now());
        frames.clear();
        let opened = self.transport.open(arrived, frames);
        // What came before it broke counts.
        let received = self.session.receive(frames);
        self.handle_events();
        if let Err(error) = received {
            let why = with_causes(&error);
            self.end(&format!("the other end broke HTTP/2: {why}"));
        } else if let Err(error) = opened {
            self.end(&with_causes(&error).to_string());
        }
    }

    fn handle_events(&mut self) {
        while let Some(event) = self.session.next_event() {
            if let Event::Pong = event {
                self.silence.answered();
            }
            if let Event::Headers { .. } = event {
                self.silence.worked();
            }
            if let Event::Ping = event
                && !self
                    .silence
                    .bears_ping(Instant::now(), self.streams.is_idle())
            {
                // As gRPC's servers do with who pings more than was agreed on.
                let _ = self.session.terminate(Code::EnhanceYourCalm);
            }
            self.streams.handle(&mut self.session, event);
        }
    }

    /// What is to be sent next, at the most [`BATCH_BYTES`] and a frame.
    fn next_batch(&mut self) -> Vec<u8> {
        let mut sealed = std::mem::take(&mut self.sealed);
        self.transport.take_sealed(&mut sealed);
        if !sealed.is_empty() {
            return sealed;
        }
        let mut frames = Vec::new();
        if let Err(error) = self.session.send(&mut frames, BATCH_BYTES) {
            self.end(&error.message);
        }
        self.handle_events();
        if let Err(error) = self.transport.seal(&frames, &mut sealed) {
            self.end(&with_causes(&error).to_string());
        }
        sealed
    }

    fn broke(&mut self, errno: Errno) {
        let error = io::Error::from(errno);
        self.end(&format!("the connection broke: {}", with_causes(&error)));
    }

    fn end(&mut self, reason: &str) {
        if self.over.is_none() {
            self.over = Some(reason.to_owned());
            self.streams.over(reason);
        }
    }
}

#[cfg(test)]
mod tests;
