//! The table of all connections, and the epoll instance that watches them.
//!
//! Owns: where every connection is, and when it has waited long enough. Refuses: reading,
//! writing, and calling anyone while the table is locked.
//! Invariants: every registration is one-shot, so that a connection is handed out once per
//! parking and never watched while a worker has it, except for the hang-up that the worker asked
//! for; a key names one connection and is never used again for another.
//!
//! nix's epoll and not the `polling` crate: that one cannot wait for EPOLLRDHUP alone, which is
//! how a hang-up is seen behind pipelined bytes that nobody reads; and its `add` is unsafe.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::connection::{Held, Phase};
use super::table::{Key, Mode, Occupant, Table, Woken};
use super::transport::Interest;
use crate::base::cancel::{Cancel, pair};
use crate::base::causes::with_causes;
use crate::base::threads::lock;

/// The event that ends a wait early; no slot has this index.
const WAKE: u64 = u64::MAX;

pub(super) struct Poller {
    epoll: Epoll,
    wake: EventFd,
    table: Mutex<Table>,
    emptied: Condvar,
}

/// A connection's place in the table; leaves it on drop.
pub(super) struct Registration {
    poller: Arc<Poller>,
    key: Key,
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = EventFd::from_flags(flags)?;
        epoll.add(&wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        Ok(Poller {
            epoll,
            wake,
            table: Mutex::default(),
            emptied: Condvar::new(),
        })
    }

    /// Gives `socket` a place, as busy.
    pub(super) fn register(self: &Arc<Self>, socket: &Arc<TcpStream>) -> io::Result<Registration> {
        let key = lock(&self.table).occupy(socket);
        let registration = Registration {
            poller: Arc::clone(self),
            key,
        };
        // On failure the registration's drop frees the slot.
        let nothing = EpollEvent::new(EpollFlags::EPOLLONESHOT, key.to_data());
        self.epoll.add(socket, nothing)?;
        Ok(registration)
    }

    /// Takes the connection until it is ready for `interest` or past `deadline`. Closes it
    /// instead if the server ends.
    pub(super) fn park(&self, connection: Held, interest: Interest, deadline: Instant) {
        let refused = self.park_or_refuse(connection, interest, deadline);
        // Outside of the lock, which its own drop takes.
        drop(refused);
    }

    /// A cancel that is pulled when the client of `registration` hangs up, from now on.
    pub(super) fn watch(&self, registration: &Registration) -> io::Result<Cancel> {
        let (trigger, cancel) = pair();
        let mut table = lock(&self.table);
        let Some(Occupant::Busy { socket, gone }) = table.occupant(registration.key) else {
            // No worker calls for a connection that it does not have; a pulled cancel is safe.
            return Ok(cancel);
        };
        *gone = Some(trigger);
        let flags = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLONESHOT;
        let mut event = EpollEvent::new(flags, registration.key.to_data());
        self.epoll.modify(&*socket, &mut event)?;
        Ok(cancel)
    }

    /// Ends the watch; its cancel counts as pulled from here.
    pub(super) fn unwatch(&self, registration: &Registration) {
        let trigger = match lock(&self.table).occupant(registration.key) {
            Some(Occupant::Busy { gone, .. }) => gone.take(),
            Some(Occupant::Free | Occupant::Parked { .. }) | None => None,
        };
        drop(trigger);
    }

    /// Waits for events or a deadline: the table's, or `until`. For the poller's thread alone.
    pub(super) fn wait(&self, events: &mut [EpollEvent], until: Option<Instant>) -> Woken {
        let until = {
            let mut table = lock(&self.table);
            let first = table.deadlines.first().map(|(deadline, _)| *deadline);
            let until = [first, until].into_iter().flatten().min();
            table.sleeping = Some(until);
            until
        };
        let timeout = until.map_or(EpollTimeout::NONE, super::wire::timeout_until);
        let count = match self.epoll.wait(events, timeout) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            // EBADF, EFAULT, EINVAL: each a mistake of ours that nothing here can mend.
            Err(errno) => panic!("epoll_wait: {errno}"),
        };
        let mut woken = Woken::default();
        let mut hung_up = Vec::new();
        let mut table = lock(&self.table);
        table.sleeping = None;
        // Before the events: a client that never stops sending must not outrun its deadline.
        table.expire(Instant::now(), &mut woken);
        for event in &events[..count] {
            match event.data() {
                WAKE => {
                    // Only resets the counter, which may have been reset already.
                    let _ = self.wake.read();
                }
                data => table.on_event(Key::from_data(data), &mut woken, &mut hung_up),
            }
        }
        drop(table);
        for trigger in hung_up {
            trigger.pull();
        }
        woken
    }

    /// Makes the poller's thread return from its wait.
    pub(super) fn wake(&self) {
        // Fails only when the counter is at its end, and then the thread is awake already.
        let _ = self.wake.write(1);
    }

    /// Closes what is idle, now and later.
    pub(super) fn drain(&self) {
        let mut table = lock(&self.table);
        if table.mode == Mode::Open {
            table.mode = Mode::Draining;
        }
        let idle = table.take_parked(|connection| {
            matches!(connection.phase, Phase::Idle | Phase::Handshake { .. })
        });
        drop(table);
        drop(idle);
    }

    /// Waits until there is no connection; false at `until`.
    pub(super) fn wait_empty(&self, until: Instant) -> bool {
        let mut table = lock(&self.table);
        while table.occupied() > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return false;
            }
            table = self.wait_emptied(table, left);
        }
        true
    }

    /// Ends every connection: parked ones are closed; those with a worker are shut down, and
    /// their handlers told that the client is gone.
    pub(super) fn close_all(&self) {
        let mut table = lock(&self.table);
        table.mode = Mode::Closed;
        let parked = table.take_parked(|_| true);
        let mut triggers = Vec::new();
        for slot in &mut table.slots {
            if let Occupant::Busy { socket, gone } = &mut slot.occupant {
                // Fails only where there is no connection any more.
                let _ = socket.shutdown(Shutdown::Both);
                triggers.extend(gone.take());
            }
        }
        drop(table);
        drop(parked);
        drop(triggers);
    }

    fn park_or_refuse(
        &self,
        connection: Held,
        interest: Interest,
        deadline: Instant,
    ) -> Option<Held> {
        let key = connection.registration.key;
        let socket = Arc::clone(connection.wire.transport.socket());
        let readiness = match interest {
            Interest::Read => EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP,
            Interest::Write => EpollFlags::EPOLLOUT,
        };
        let mut event = EpollEvent::new(readiness | EpollFlags::EPOLLONESHOT, key.to_data());
        let mut table = lock(&self.table);
        let idle = matches!(connection.phase, Phase::Idle);
        if table.mode == Mode::Closed || (table.mode == Mode::Draining && idle) {
            return Some(connection);
        }
        // Armed under the lock: the event may be there at once, and finds the connection parked.
        if let Err(errno) = self.epoll.modify(&socket, &mut event) {
            log::warn!(
                "cannot watch a connection: {}",
                with_causes(&io::Error::from(errno))
            );
            return Some(connection);
        }
        table.park(key, connection, deadline);
        let sleeps_past = match table.sleeping {
            Some(until) => until.is_none_or(|until| deadline < until),
            None => false,
        };
        if sleeps_past {
            // Noted, so that the next ones to park do not wake it again.
            table.sleeping = Some(Some(deadline));
            self.wake();
        }
        None
    }

    fn remove(&self, key: Key) {
        let mut table = lock(&self.table);
        let removed = table.vacate(key);
        if table.occupied() == 0 {
            self.emptied.notify_all();
        }
        drop(table);
        drop(removed);
    }

    fn wait_emptied<'a>(
        &self,
        table: MutexGuard<'a, Table>,
        timeout: Duration,
    ) -> MutexGuard<'a, Table> {
        self.emptied
            .wait_timeout(table, timeout)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.poller.remove(self.key);
    }
}
