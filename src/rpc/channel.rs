//! A client's way to one server: a connection that is made when it is needed, replaced when it is over,
//! and shared by all callers.
//!
//! Invariants: at most one attempt to connect is under way, and after one that failed, or whose connection did not
//! last, there is a pause, which doubles; a call is sent only on a connection on which the other end has said
//! what it is like; every connection has a thread, which is joined by the owner of [`Threads`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::address::Address;
use super::error::RpcError;
use super::h2::calls::{Calls, NewCall};
use super::h2::dial::{self, DialError};
use super::h2::keepalive::Keepalive;
use super::h2::link::Link;
use super::h2::session::{Session, Side, StreamId};
use super::h2::transport::Opening;
use super::limits::{CONNECT_BOUND, RECONNECT_FIRST, RECONNECT_MOST};
use super::tls::ClientTls;
use crate::base::backoff::Backoff;
use crate::base::causes::with_causes;
use crate::base::threads::{Joined, Supervisor, lock};

/// A connection that was up for so long was a good one.
const LASTED: Duration = RECONNECT_MOST;

/// How to treat a server that could not be reached the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is unreachable now: another agent may be quicker.
    FailFast,
    /// Wait for further attempts, up to the bound.
    UntilBound,
}

/// Where a channel goes, and how.
pub(super) struct Target {
    pub address: Address,
    /// For the connections to come.
    pub tls: Option<ClientTls>,
    pub keepalive: Keepalive,
}

/// The way to one server, whether it is connected or not. Dropped with its last clone, it closes its connection.
#[derive(Clone)]
pub(super) struct Channel {
    shared: Arc<Shared>,
    /// Closes when the last clone goes.
    _closing: Arc<Closing>,
}

struct Shared {
    address: Address,
    keepalive: Keepalive,
    /// What `:scheme` and `:authority` say.
    names: (&'static str, String),
    threads: Arc<Threads>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    phase: Phase,
    tls: Option<Arc<ClientTls>>,
    /// Counts what it was replaced by.
    identities: u64,
    pauses: Backoff,
    /// The last attempt failed, and none has succeeded since.
    has_failed: bool,
    not_before: Instant,
    up_since: Instant,
    /// All that have not ended: such as are not up yet, or take no more calls, are in no phase.
    links: Vec<Weak<Link<Calls>>>,
    is_closed: bool,
}

enum Phase {
    Idle,
    Connecting,
    Up(Arc<Link<Calls>>),
}

struct Closing(Weak<Shared>);

/// The threads of all channels of a client.
pub(super) struct Threads {
    supervisor: Supervisor,
    state: Mutex<ThreadsState>,
}

#[derive(Default)]
struct ThreadsState {
    running: Vec<(Joined, Weak<Shared>)>,
    started: u64,
    is_closed: bool,
}

impl Channel {
    /// Connects to nothing yet.
    pub(super) fn new(target: Target, threads: Arc<Threads>) -> Channel {
        let names = match &target.tls {
            Some(tls) => ("https", tls.name().to_owned()),
            None => ("http", target.address.to_string()),
        };
        let shared = Arc::new(Shared {
            address: target.address,
            keepalive: target.keepalive,
            names,
            threads,
            state: Mutex::new(State {
                phase: Phase::Idle,
                tls: target.tls.map(Arc::new),
                identities: 0,
                pauses: Backoff::new(RECONNECT_FIRST, RECONNECT_MOST),
                has_failed: false,
                not_before: Instant::now(),
                up_since: Instant::now(),
                links: Vec::new(),
                is_closed: false,
            }),
            changed: Condvar::new(),
        });
        Channel {
            _closing: Arc::new(Closing(Arc::downgrade(&shared))),
            shared,
        }
    }

    /// A connection that is up. Until there is one, nothing is sent.
    ///
    /// # Errors
    /// [`RpcError::Unreachable`].
    pub(super) fn ready(&self, patience: Patience) -> Result<Arc<Link<Calls>>, RpcError> {
        let shared = &self.shared;
        let deadline = Instant::now() + CONNECT_BOUND;
        let mut state = lock(&shared.state);
        loop {
            if state.is_closed {
                return Err(RpcError::Unreachable);
            }
            let now = Instant::now();
            match &state.phase {
                Phase::Up(link) => {
                    let link = Arc::clone(link);
                    drop(state);
                    // Not under our lock: the link's reader takes ours under its own.
                    let takes =
                        link.look(|session, calls| session.takes_requests() && !calls.is_leaving());
                    if takes == Ok(true) {
                        return Ok(link);
                    }
                    state = lock(&shared.state);
                    if matches!(&state.phase, Phase::Up(it) if Arc::ptr_eq(it, &link)) {
                        state.ended();
                    }
                    continue;
                }
                Phase::Idle if now >= state.not_before => {
                    state.phase = Phase::Connecting;
                    if shared.threads.start(shared).is_err() {
                        state.phase = Phase::Idle;
                        return Err(RpcError::Unreachable);
                    }
                }
                Phase::Idle | Phase::Connecting => {}
            }
            if state.has_failed && patience == Patience::FailFast {
                return Err(RpcError::Unreachable);
            }
            let until = match state.phase {
                Phase::Idle => state.not_before.min(deadline),
                Phase::Connecting | Phase::Up(_) => deadline,
            };
            if now >= deadline {
                return Err(RpcError::Unreachable);
            }
            let left = until.saturating_duration_since(now);
            let waited = shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Starts a call on a connection of [`Channel::ready`].
    ///
    /// # Errors
    /// [`RpcError::Unreachable`]: nothing was sent.
    pub(super) fn start(link: &Link<Calls>, call: NewCall) -> Result<StreamId, RpcError> {
        let deadline = call.deadline;
        let started = link.with(|session, calls| calls.start(session, call));
        let Ok(Ok(stream)) = started else {
            return Err(RpcError::Unreachable);
        };
        if let Some(deadline) = deadline {
            link.due_at(deadline);
        }
        Ok(stream)
    }

    /// What `:scheme` and `:authority` say.
    pub(super) fn names(&self) -> (&'static str, &str) {
        let (scheme, authority) = &self.shared.names;
        (scheme, authority)
    }

    /// Makes further connections with another identity. What is under way goes on where it is, and its
    /// connection ends with the last of it.
    pub(super) fn replace_tls(&self, tls: ClientTls) {
        let mut state = lock(&self.shared.state);
        state.tls = Some(Arc::new(tls));
        state.identities += 1;
        let link = match &state.phase {
            Phase::Up(link) => Some(Arc::clone(link)),
            Phase::Idle | Phase::Connecting => None,
        };
        if link.is_some() {
            state.phase = Phase::Idle;
        }
        drop(state);
        if let Some(link) = link {
            let _ = link.with(Calls::retire);
        }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.close();
        }
    }
}

impl Shared {
    fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        state.phase = Phase::Idle;
        let links = std::mem::take(&mut state.links);
        drop(state);
        self.changed.notify_all();
        for link in links.iter().filter_map(Weak::upgrade) {
            link.close("the client was taken down");
        }
    }

    /// Makes a connection and serves it to its end.
    fn serve(self: &Arc<Self>) {
        match self.connect() {
            Ok((link, was_up)) => {
                link.run(|job| match job {});
                let mut state = lock(&self.state);
                match &state.phase {
                    Phase::Up(it) if Arc::ptr_eq(it, &link) => state.ended(),
                    // Else it is its successor that connects.
                    Phase::Connecting if !was_up.load(Ordering::SeqCst) => state.failed(),
                    Phase::Connecting | Phase::Up(_) | Phase::Idle => {}
                }
            }
            Err(error) => {
                let address = &self.address;
                log::debug!("{address} cannot be reached: {}", with_causes(&error));
                lock(&self.state).failed();
            }
        }
        self.changed.notify_all();
    }

    /// The link, and what becomes true once it is up.
    fn connect(self: &Arc<Self>) -> Result<(Arc<Link<Calls>>, Arc<AtomicBool>), DialError> {
        let deadline = Instant::now() + RECONNECT_MOST;
        let (tls, identity) = {
            let state = lock(&self.state);
            (state.tls.clone(), state.identities)
        };
        let socket = dial::connect(&self.address, deadline)?;
        let ssl = tls.as_ref().map(|tls| tls.begin()).transpose();
        let ssl = ssl.map_err(super::h2::transport::TransportError::Setup)?;
        let transport = dial::shake_hands(&socket, ssl, Opening::Connect, deadline)?;
        if let (Some(ssl), Some(tls)) = (transport.ssl(), &tls) {
            if !dial::speaks_http2(ssl) {
                return Err(DialError::Protocol);
            }
            tls.check(ssl)?;
        }
        let session = Session::new(Side::Client).map_err(DialError::Session)?;
        let shared = Arc::downgrade(self);
        let (sender, receiver) = crossbeam_channel::bounded::<Weak<Link<Calls>>>(1);
        let was_up = Arc::new(AtomicBool::new(false));
        let tells = Arc::clone(&was_up);
        let up = move || {
            let link = receiver.try_recv().ok().and_then(|link| link.upgrade());
            tells.store(true, Ordering::SeqCst);
            match (shared.upgrade(), link) {
                (Some(shared), Some(link)) => shared.is_up(link, identity),
                _ => false,
            }
        };
        let calls = Calls::new(Box::new(up), deadline);
        let link = Link::new(socket, transport, session, calls, self.keepalive);
        let link = Arc::new(link.map_err(DialError::Broke)?);
        let _ = sender.send(Arc::downgrade(&link));
        let mut state = lock(&self.state);
        if state.is_closed {
            return Err(DialError::Connect(std::io::ErrorKind::NotConnected.into()));
        }
        state.links.retain(|link| link.strong_count() > 0);
        state.links.push(Arc::downgrade(&link));
        drop(state);
        Ok((link, was_up))
    }

    /// Called under the link's lock. Whether it is wanted still.
    fn is_up(&self, link: Arc<Link<Calls>>, identity: u64) -> bool {
        let mut state = lock(&self.state);
        if state.is_closed {
            return false;
        }
        if state.identities != identity {
            // Another one is made with that which has come meanwhile.
            state.phase = Phase::Idle;
            drop(state);
            self.changed.notify_all();
            return false;
        }
        state.has_failed = false;
        state.up_since = Instant::now();
        state.phase = Phase::Up(link);
        drop(state);
        self.changed.notify_all();
        true
    }
}

impl State {
    fn failed(&mut self) {
        self.phase = Phase::Idle;
        self.has_failed = true;
        self.not_before = Instant::now() + self.pauses.next_pause();
    }

    /// A connection that was up takes no more calls. One that lasted is replaced at once; a server that takes
    /// connections and sends everybody away is not asked again and again.
    fn ended(&mut self) {
        self.phase = Phase::Idle;
        if self.up_since.elapsed() < LASTED {
            self.not_before = Instant::now() + self.pauses.next_pause();
        } else {
            self.pauses.reset();
        }
    }
}

impl Threads {
    pub(super) fn new(supervisor: Supervisor) -> Threads {
        Threads {
            supervisor,
            state: Mutex::default(),
        }
    }

    fn start(&self, shared: &Arc<Shared>) -> std::io::Result<()> {
        let mut state = lock(&self.state);
        if state.is_closed {
            return Err(std::io::ErrorKind::NotConnected.into());
        }
        state.running.retain(|(thread, _)| !thread.is_finished());
        let for_thread = Arc::clone(shared);
        let serve = move || for_thread.serve();
        let thread = self
            .supervisor
            .spawn(format!("rpc-link-{}", state.started), serve)?;
        state.started += 1;
        state.running.push((thread, Arc::downgrade(shared)));
        Ok(())
    }

    /// Ends every connection and joins its thread. One that is about to connect takes up to the time that an
    /// attempt has.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        let running = std::mem::take(&mut state.running);
        drop(state);
        for (_, shared) in &running {
            if let Some(shared) = shared.upgrade() {
                shared.close();
            }
        }
        // Joins them.
        drop(running);
    }
}
