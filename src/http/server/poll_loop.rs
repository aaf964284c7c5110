//! The poller's thread: hands out what is ready, ends what has waited too long.

use std::sync::Arc;
use std::time::Instant;

use nix::sys::epoll::EpollEvent;

use super::connection::{Held, Phase};
use super::refuse::{overloaded, say_and_close, timed_out};
use super::shared::Shared;

/// Events taken in one wait; more stay for the next.
const EVENTS: usize = 256;

/// Runs until the server stops.
pub(super) fn run(shared: &Arc<Shared>) {
    let mut events = [EpollEvent::empty(); EVENTS];
    while !shared.is_stopping() {
        let woken = shared
            .poller
            .wait(&mut events, shared.dispatcher.next_expiry());
        for connection in woken.ready {
            shared.dispatcher.submit(shared, connection);
        }
        for connection in woken.expired {
            expire(connection);
        }
        let refused = shared.dispatcher.take_expired(Instant::now());
        if !refused.is_empty() {
            let count = refused.len();
            shared
                .overload
                .warn(|| format!("{count} requests refused: every worker is busy"));
        }
        for connection in refused {
            refuse(connection);
        }
    }
}

fn expire(connection: Held) {
    match connection.phase {
        Phase::Head { .. } => say_and_close(connection, &timed_out()),
        Phase::Handshake { .. } | Phase::Idle | Phase::Writing { .. } | Phase::Lingering { .. } => {
            drop(connection);
        }
    }
}

fn refuse(connection: Held) {
    match connection.phase {
        Phase::Idle | Phase::Head { .. } => say_and_close(connection, &overloaded()),
        Phase::Handshake { .. } | Phase::Writing { .. } | Phase::Lingering { .. } => {
            drop(connection);
        }
    }
}
