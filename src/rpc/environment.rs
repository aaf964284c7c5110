//! The completion-queue threads, with names and a join, which the gRPC library does not offer.

use std::cell::Cell;
use std::sync::{Arc, Once};

use grpcio::{EnvBuilder, Environment};

use super::limits::{JOIN_BOUND, POLL_THREADS};
use crate::base::cancel::{Cancel, pair};

/// Under which the gRPC library logs.
pub(crate) const LOG_TARGET: &str = "grpcio";

thread_local! {
    static IS_POLL_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is a completion-queue thread: blocking on a call here would wait for itself.
pub(super) fn is_poll_thread() -> bool {
    IS_POLL_THREAD.get()
}

/// The threads end once the environment and everything made from it is dropped; dropping this
/// waits for that, to a bound. Declare it last in a struct: fields drop in their order.
pub(super) struct PollThreads {
    // Dropped before the join below it.
    environment: Arc<Environment>,
    _join: JoinOnDrop,
}

struct JoinOnDrop {
    ended: Cancel,
    name: &'static str,
}

impl PollThreads {
    /// Starts [`POLL_THREADS`] threads called `name-0` and so on. The library panics when the
    /// system gives no thread; at start that is as good as an error.
    pub(super) fn start(name: &'static str) -> PollThreads {
        // What the gRPC core has to say goes where everything goes, instead of to stderr.
        static LOG: Once = Once::new();
        LOG.call_once(grpcio::redirect_log);
        let (running, ended) = pair();
        let environment = EnvBuilder::new()
            .name_prefix(name)
            .cq_count(POLL_THREADS)
            .after_start(|| IS_POLL_THREAD.set(true))
            // Each thread holds this closure, and with it the trigger, to its very end: the
            // token is pulled when the last of them is gone.
            .before_stop(move || drop(running.waiter()))
            .build();
        PollThreads {
            environment: Arc::new(environment),
            _join: JoinOnDrop { ended, name },
        }
    }

    pub(super) fn environment(&self) -> Arc<Environment> {
        Arc::clone(&self.environment)
    }
}

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        // One of the threads can be the last owner; it cannot wait for itself.
        if !is_poll_thread() && !self.ended.wait_timeout(JOIN_BOUND) {
            log::warn!("{} threads still run: something holds a call", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_the_environment_joins_its_threads() {
        let threads = PollThreads::start("rpc-test");
        let ended = threads._join.ended.clone();
        assert!(!ended.is_pulled());
        drop(threads);
        assert!(ended.is_pulled());
    }
}
