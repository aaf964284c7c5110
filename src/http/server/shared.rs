//! What the threads of one server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dispatch::Dispatcher;
use super::poller::Poller;
use super::throttle::Throttle;
use crate::http::handler::Handler;
use crate::http::limits::Limits;

pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) poller: Arc<Poller>,
    pub(super) dispatcher: Dispatcher,
    /// Connections told 503 because no worker took them.
    pub(super) overload: Throttle,
    draining: AtomicBool,
    stopping: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        limits: Limits,
        handler: Arc<dyn Handler>,
        poller: Arc<Poller>,
        dispatcher: Dispatcher,
    ) -> Shared {
        Shared {
            limits,
            handler,
            poller,
            dispatcher,
            overload: Throttle::default(),
            draining: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    /// From here every response closes its connection.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.poller.drain();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Ends the poller's thread.
    pub(super) fn stop_poller(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.poller.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
