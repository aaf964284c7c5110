//! A server's door: takes connections, has each shake hands and be served on a thread of its own, and turns
//! away what is too much.
//!
//! Invariants: the thread that accepts waits for nobody's handshake; who has not shown a certificate yet takes
//! none of the room of those who have; however many come, descriptors are left for executions.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::dial::{self, DialError};
use super::keepalive::Keepalive;
use super::link::Link;
use super::requests::{Incoming, IsStreamingIn, Job, Requests};
use super::session::{Code, Session, Side};
use super::transport::{Opening, Transport};
use crate::base::causes::with_causes;
use crate::base::threads::{Joined, Supervisor, lock};
use crate::rpc::limits::{HANDSHAKE_BOUND, MAX_STREAMS};
use crate::rpc::tls::ServerIdentity;
use strangers::Strangers;

mod strangers;

/// Connections that have shaken hands: control planes, each with one, and their successors.
const ADMITTED_MOST: usize = 64;
/// Of these, such as bear another certificate of the fleet: they are told that they may not call, and take no
/// control plane's room.
const OTHERS_MOST: usize = 16;
/// A connection takes a socket and an event, a stranger a socket. All of them leave most of the 1,024 descriptors that
/// a process has, where nobody says otherwise, to executions.
const _: () = assert!(2 * ADMITTED_MOST + strangers::WITH_THOSE_THAT_GO <= 1024 / 4);
/// When the system has no descriptor for a connection that waits, it is asked again after this.
const OUT_OF_DESCRIPTORS_PAUSE: Duration = Duration::from_millis(100);
/// Between the notice that there will be an end and the last number that is served: a call that was under way
/// then arrives (RFC 9113, section 6.8).
const NOTICE: Duration = Duration::from_millis(50);

/// What a server does with its connections.
pub(in crate::rpc) struct Door {
    pub identity: Option<Arc<ServerIdentity>>,
    pub keepalive: Keepalive,
    pub is_streaming_in: IsStreamingIn,
    /// Does not wait. Whether the caller has shown to be the control plane comes with each call.
    pub serve: Box<dyn Fn(Incoming, bool) + Send + Sync>,
    pub supervisor: Supervisor,
}

/// A server's socket, its connections and their threads. Dropped, it closes everything.
pub(in crate::rpc) struct Listening {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<Joined>,
}

struct Shared {
    door: Door,
    stop: EventFd,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    threads: Vec<Joined>,
    strangers: Strangers,
    links: Vec<Arc<Link<Requests>>>,
    /// Of the links, those of other members of the fleet than control planes.
    others: usize,
    is_closed: bool,
}

impl Listening {
    pub(in crate::rpc) fn start(address: SocketAddr, door: Door) -> io::Result<Listening> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let shared = Arc::new(Shared {
            door,
            stop: EventFd::from_flags(flags)?,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let supervisor = shared.door.supervisor.clone();
        let acceptor = supervisor.spawn("rpc-acceptor", move || for_thread.accept(&listener))?;
        Ok(Listening {
            shared,
            address,
            acceptor: Some(acceptor),
        })
    }

    pub(in crate::rpc) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections or calls, and lets those there are end for so long. Whether all did.
    pub(in crate::rpc) fn drain(&mut self, grace: Duration) -> bool {
        self.stop_accepting();
        let deadline = Instant::now() + grace;
        self.shared.each_link(|link| {
            let _ = link.with(|session, _| session.announce_end());
        });
        self.shared
            .wait_for(deadline.min(Instant::now() + NOTICE), <[_]>::is_empty);
        self.shared.each_link(|link| {
            let _ = link.with(|session, _| session.go_away(Code::None));
        });
        self.shared.wait_for(deadline, <[_]>::is_empty)
    }

    fn stop_accepting(&mut self) {
        let _ = self.shared.stop.write(1);
        drop(self.acceptor.take());
        let mut state = lock(&self.shared.state);
        state.is_closed = true;
        state.strangers.send_all_away();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop_accepting();
        let mut state = lock(&self.shared.state);
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        self.shared
            .each_link(|link| link.close("the server was taken down"));
        // Joins them.
        drop(threads);
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let mut fds = [
                PollFd::new(listener.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
            ];
            let _ = poll(&mut fds, PollTimeout::NONE);
            if fds[1].any() == Some(true) {
                return;
            }
            match listener.accept() {
                Ok((socket, peer)) => self.admit(socket, peer.ip()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    log::warn!("a connection could not be taken: {}", with_causes(&error));
                    let mut fds = [PollFd::new(self.stop.as_fd(), PollFlags::POLLIN)];
                    let pause = PollTimeout::try_from(OUT_OF_DESCRIPTORS_PAUSE);
                    let _ = poll(&mut fds, pause.unwrap_or(PollTimeout::MAX));
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, socket: TcpStream, peer: IpAddr) {
        let socket = Arc::new(socket);
        let mut state = lock(&self.state);
        let Some(number) = state.strangers.admit(peer, &socket) else {
            return log::debug!(
                "{peer} was turned away: too many connections have not shaken hands"
            );
        };
        state.threads.retain(|thread| !thread.is_finished());
        let for_thread = Arc::clone(self);
        let serve = move || for_thread.serve(socket, number, peer);
        let supervisor = &self.door.supervisor;
        let thread = supervisor.spawn(format!("rpc-connection-{number}"), serve);
        match thread {
            Ok(thread) => state.threads.push(thread),
            Err(error) => {
                state.strangers.forget(number);
                log::warn!("{peer} was turned away: {}", with_causes(&error));
            }
        }
    }

    fn serve(self: &Arc<Self>, socket: Arc<TcpStream>, number: u64, peer: IpAddr) {
        let shaken = self.shake_hands(&socket);
        lock(&self.state).strangers.forget(number);
        let opened = shaken.and_then(|(transport, session)| {
            let is_control = transport.ssl().is_none_or(crate::rpc::tls::is_control);
            Ok((self.open(socket, transport, session)?, is_control))
        });
        let (link, is_control) = match opened {
            Ok(opened) => opened,
            Err(error) => return log::debug!("{peer} was not let in: {}", with_causes(&error)),
        };
        let mut state = lock(&self.state);
        if state.is_closed {
            return;
        }
        if state.links.len() >= ADMITTED_MOST || !is_control && state.others >= OTHERS_MOST {
            log::warn!("{peer} was turned away: there are too many connections");
            return;
        }
        state.links.push(Arc::clone(&link));
        state.others += usize::from(!is_control);
        drop(state);
        link.run(|job| match job {
            Job::Serve(incoming) => (self.door.serve)(incoming, is_control),
            Job::Undo(undo) => undo(),
        });
        let mut state = lock(&self.state);
        state.links.retain(|it| !Arc::ptr_eq(it, &link));
        state.others -= usize::from(!is_control);
        drop(state);
        self.changed.notify_all();
    }

    /// Shows who the other end is, or, without TLS, that it speaks HTTP/2.
    fn shake_hands(&self, socket: &TcpStream) -> Result<(Transport, Session), DialError> {
        let deadline = Instant::now() + HANDSHAKE_BOUND;
        dial::prepare(socket).map_err(DialError::Broke)?;
        let identity = self.door.identity.as_ref();
        let ssl = identity.map(|identity| identity.begin()).transpose();
        let ssl = ssl.map_err(super::transport::TransportError::Setup)?;
        let transport = dial::shake_hands(socket, ssl, Opening::Accept, deadline)?;
        let mut session = Session::new(Side::Server(MAX_STREAMS))?;
        if transport.ssl().is_none() {
            session.receive(&dial::receive_preface(socket, deadline)?)?;
        }
        Ok((transport, session))
    }

    fn open(
        &self,
        socket: Arc<TcpStream>,
        transport: Transport,
        session: Session,
    ) -> Result<Arc<Link<Requests>>, DialError> {
        // Nobody else has it any more, since it is no stranger.
        let socket = Arc::into_inner(socket).ok_or(DialError::Protocol)?;
        let requests = Requests::new(self.door.is_streaming_in);
        let link = Link::new(socket, transport, session, requests, self.door.keepalive);
        let link = Arc::new(link.map_err(DialError::Broke)?);
        let _ = link.with(|_, requests| requests.belong_to(&link));
        Ok(link)
    }

    fn each_link(&self, act: impl Fn(&Link<Requests>)) {
        let links = lock(&self.state).links.clone();
        links.iter().for_each(|link| act(link));
    }

    fn wait_for(&self, deadline: Instant, is_so: impl Fn(&[Arc<Link<Requests>>]) -> bool) -> bool {
        let mut state = lock(&self.state);
        while !is_so(&state.links) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
