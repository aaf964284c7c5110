//! Who answers a call: a thread of the pool that it belongs to, or, where that is full, the
//! connection's reader itself, at once, with `Busy`.
//!
//! Refuses: knowing one call from another. What each of them asks of the worker is in `calls`.

use std::sync::{Arc, Mutex, Weak};

use prost::Message;

use super::pools::Pools;
use crate::agent::serve::worker_api::{Worker, WorkerError};
use crate::base::pool::Pool;
use crate::base::threads::{Supervisor, lock};
use crate::rpc::Refusal;
use crate::rpc::serve::{EventSink, Incoming, Pushed, streaming_out, unary};
use crate::wire::error::ErrorKind;
use crate::wire::method::Method;

/// What serves calls, on the threads that read connections.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) worker: Arc<dyn Worker>,
    pools: Weak<Pools>,
    pub(super) supervisor: Supervisor,
}

impl Service {
    /// Without a pool, once they are gone, it refuses as with a full one.
    pub(super) fn new(
        worker: Arc<dyn Worker>,
        pools: Weak<Pools>,
        supervisor: Supervisor,
    ) -> Service {
        Service {
            worker,
            pools,
            supervisor,
        }
    }

    /// Answers from the pool for calls.
    pub(super) fn call<Q: Message + Default + 'static, A: Message + 'static>(
        &self,
        method: Method<Q, A>,
        incoming: Incoming,
        work: impl FnOnce(&dyn Worker, Q) -> Result<A, WorkerError> + Send + 'static,
    ) {
        self.call_on(|pools| &pools.calls, method, incoming, work);
    }

    pub(super) fn call_on<Q: Message + Default + 'static, A: Message + 'static>(
        &self,
        pool: fn(&Pools) -> &Pool,
        method: Method<Q, A>,
        incoming: Incoming,
        work: impl FnOnce(&dyn Worker, Q) -> Result<A, WorkerError> + Send + 'static,
    ) {
        let Some((request, reply)) = unary(method, incoming) else {
            return;
        };
        let worker = Arc::clone(&self.worker);
        let job = {
            let reply = reply.clone();
            move || reply.send(work(worker.as_ref(), request).map_err(|error| error.to_refusal()))
        };
        if !self.submit(pool, job) {
            reply.send(Err(busy()));
        }
    }

    /// Gives events from a pool, for as long as the caller listens.
    pub(super) fn stream_on<Q: Message + Default + 'static, M: Message + 'static>(
        &self,
        pool: fn(&Pools) -> &Pool,
        method: Method<Q, M>,
        incoming: Incoming,
        work: impl FnOnce(&dyn Worker, Q, &mut EventSink<M>) -> Result<(), WorkerError> + Send + 'static,
    ) {
        let Some((request, events)) = streaming_out(method, incoming) else {
            return;
        };
        let worker = Arc::clone(&self.worker);
        let call = Arc::new(Mutex::new(Some((request, events))));
        let job = {
            let call = Arc::clone(&call);
            move || {
                if let Some((request, mut events)) = lock(&call).take() {
                    let result = work(worker.as_ref(), request, &mut events);
                    events.finish(result.map_err(|error| error.to_refusal()));
                }
            }
        };
        if !self.submit(pool, job)
            && let Some((_, events)) = lock(&call).take()
        {
            events.finish(Err(busy()));
        }
    }

    /// Has a pushed release read and answered by the pool for releases.
    pub(super) fn receive_on(&self, incoming: Incoming, work: fn(&dyn Worker, Pushed)) {
        let worker = Arc::clone(&self.worker);
        let call = Arc::new(Mutex::new(Pushed::new(incoming)));
        let job = {
            let call = Arc::clone(&call);
            move || {
                if let Some(pushed) = lock(&call).take() {
                    work(worker.as_ref(), pushed);
                }
            }
        };
        if !self.submit(|pools| &pools.releases, job)
            && let Some(pushed) = lock(&call).take()
        {
            pushed.answer(Err(busy()));
        }
    }

    /// Whether the pool takes the job.
    pub(super) fn submit(
        &self,
        pool: fn(&Pools) -> &Pool,
        job: impl FnOnce() + Send + 'static,
    ) -> bool {
        self.pools
            .upgrade()
            .is_some_and(|pools| pool(&pools).submit(job).is_ok())
    }
}

fn busy() -> Refusal {
    WorkerError::new(ErrorKind::Busy, "").to_refusal()
}
