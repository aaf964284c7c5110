//! The acceptor's thread: admits, refuses, and outlives every error of accept(2).

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use openssl::ssl::SslContext;

use super::admission::{Admission, Excess};
use super::connection::{Connection, Phase};
use super::refuse::{excess, say_to_socket};
use super::shared::Shared;
use super::throttle::Throttle;
use super::transport::{Interest, Transport};
use super::wire::Wire;
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;

/// 100 ms without accepting after an error that the next attempt would meet again.
const PAUSE_MS: u8 = 100;
/// Connections taken before the stop is looked at again.
const BATCH: usize = 64;

pub(super) struct Acceptor {
    listener: TcpListener,
    stop: Arc<EventFd>,
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    tls: Option<SslContext>,
    /// A descriptor to give up when there is no other, so that the client waiting longest can
    /// be told; without it the kernel would report it as ready again and again.
    reserve: Option<File>,
    refused: Throttle,
    failed: Throttle,
}

enum Accepted {
    Connection,
    Nothing,
    /// The next attempt would fail the same way.
    Exhausted,
}

impl Acceptor {
    pub(super) fn new(
        listener: TcpListener,
        stop: Arc<EventFd>,
        shared: Arc<Shared>,
        admission: Arc<Admission>,
        tls: Option<SslContext>,
    ) -> Acceptor {
        Acceptor {
            listener,
            stop,
            shared,
            admission,
            tls,
            reserve: reserve(),
            refused: Throttle::default(),
            failed: Throttle::default(),
        }
    }

    /// Runs until told to stop; closes the listening socket then.
    pub(super) fn run(mut self) {
        while !self.is_stopped_within(PollTimeout::NONE, true) {
            for _ in 0..BATCH {
                match self.accept() {
                    Accepted::Connection => {}
                    Accepted::Nothing => break,
                    Accepted::Exhausted => {
                        self.is_stopped_within(PollTimeout::from(PAUSE_MS), false);
                        break;
                    }
                }
            }
        }
    }

    /// Waits for the stop, and with `or_client` for a client too; says whether it was the stop.
    fn is_stopped_within(&self, timeout: PollTimeout, or_client: bool) -> bool {
        let mut fds = [
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
        ];
        let watched = if or_client { 2 } else { 1 };
        match poll(&mut fds[..watched], timeout) {
            Ok(_) | Err(Errno::EINTR) => fds[0].any().unwrap_or(false),
            Err(errno) => {
                let why = with_causes(&io::Error::from(errno));
                self.failed
                    .warn(|| format!("cannot wait for connections: {why}"));
                // No memory in the kernel, most likely: a pause that does not need its poll.
                Cancel::never().wait_timeout(Duration::from_millis(PAUSE_MS.into()));
                false
            }
        }
    }

    fn accept(&mut self) -> Accepted {
        match self.listener.accept() {
            Ok((socket, peer)) => {
                if let Err(error) = self.admit(socket, peer) {
                    self.failed
                        .warn(|| format!("cannot take a connection: {}", with_causes(&error)));
                }
                Accepted::Connection
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accepted::Nothing,
            Err(error) => self.survive(&error),
        }
    }

    fn admit(&self, socket: TcpStream, peer: SocketAddr) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let admitted = match self.admission.admit(peer.ip()) {
            Ok(admitted) => admitted,
            Err(reason) => {
                self.refused
                    .warn(|| format!("connection of {peer} refused: {reason:?}"));
                self.refuse(&socket, reason);
                return Ok(());
            }
        };
        let transport = Transport::new(socket, self.tls.clone());
        let limits = &self.shared.limits;
        let now = Instant::now();
        let (phase, deadline) = if transport.is_tls() {
            let deadline = now + limits.handshake_deadline;
            (Phase::Handshake { deadline }, deadline)
        } else {
            (Phase::Idle, now + limits.idle_timeout)
        };
        let connection = Box::new(Connection {
            registration: self.shared.poller.register(transport.socket())?,
            wire: Wire::new(transport),
            phase,
            peer,
            served: 0,
            _admitted: admitted,
        });
        self.shared
            .poller
            .park(connection, Interest::Read, deadline);
        Ok(())
    }

    fn refuse(&self, socket: &TcpStream, reason: Excess) {
        // Under TLS there is nobody yet to be told anything.
        if self.tls.is_none() {
            say_to_socket(socket, &excess(reason));
        }
    }

    /// accept(2) reports also what befell a connection before it was taken: such errors are
    /// that connection's alone.
    fn survive(&mut self, error: &io::Error) -> Accepted {
        self.failed
            .warn(|| format!("cannot accept a connection: {}", with_causes(&error)));
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE | Errno::ENFILE) => self.shed(),
            Some(
                Errno::ECONNABORTED
                | Errno::EINTR
                | Errno::EPROTO
                | Errno::ENETDOWN
                | Errno::ENOPROTOOPT
                | Errno::EHOSTDOWN
                | Errno::ENONET
                | Errno::EHOSTUNREACH
                | Errno::EOPNOTSUPP
                | Errno::ENETUNREACH
                | Errno::EPERM,
            ) => Accepted::Connection,
            _ => Accepted::Exhausted,
        }
    }

    /// Without a descriptor: gives up the reserve for the client that has waited longest.
    fn shed(&mut self) -> Accepted {
        let had_reserve = self.reserve.take().is_some();
        let accepted = match self.listener.accept() {
            Ok((socket, _)) if had_reserve => {
                // Where this fails the write below would block, and nothing is said.
                if socket.set_nonblocking(true).is_ok() {
                    self.refuse(&socket, Excess::All);
                }
                Accepted::Connection
            }
            Ok((socket, peer)) => {
                // Descriptors are back. This one's failure is logged with the next refusal.
                drop(self.admit(socket, peer));
                Accepted::Connection
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accepted::Nothing,
            Err(_) => Accepted::Exhausted,
        };
        self.reserve = reserve();
        match self.reserve {
            Some(_) => accepted,
            // Another thread was quicker to take it.
            None => Accepted::Exhausted,
        }
    }
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}
