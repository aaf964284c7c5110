//! Who answers a call: a thread of the pool that it belongs to, or, where that is full, the
//! completion-queue thread itself, at once, with `Busy`.
//!
//! Refuses: knowing one call from another. What each of them asks of the worker is in `calls`.

use std::sync::{Arc, Mutex, Weak};

use grpcio::{ClientStreamingSink, RequestStream, RpcContext, ServerStreamingSink, UnarySink};

use super::messages::ExecutionAnswer;
use super::pools::Pools;
use crate::agent::serve::worker_api::{Worker, WorkerError};
use crate::base::pool::Pool;
use crate::base::threads::{Supervisor, lock};
use crate::rpc::Refusal;
use crate::rpc::serve::{EventSink, Reply, must_not_block, note_left};
use crate::wire::error::ErrorKind;
use crate::wire::proto;

/// Cloned by the gRPC library for every thread that takes calls.
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
    pub(super) fn call<A: Send + 'static>(
        &self,
        context: &RpcContext<'_>,
        sink: UnarySink<A>,
        work: impl FnOnce(&dyn Worker) -> Result<A, WorkerError> + Send + 'static,
    ) {
        self.call_on(context, sink, |pools| &pools.calls, work);
    }

    pub(super) fn call_on<A: Send + 'static>(
        &self,
        context: &RpcContext<'_>,
        sink: UnarySink<A>,
        pool: fn(&Pools) -> &Pool,
        work: impl FnOnce(&dyn Worker) -> Result<A, WorkerError> + Send + 'static,
    ) {
        let reply = Reply::new(sink);
        let worker = Arc::clone(&self.worker);
        let job = {
            let reply = reply.clone();
            move || reply.send(work(worker.as_ref()).map_err(|error| error.to_refusal()))
        };
        if !self.submit(pool, job) {
            reply.send_from(context, Err(busy()));
        }
    }

    /// Gives events from a pool, for as long as the caller listens.
    pub(super) fn stream_on<M: Send + 'static>(
        &self,
        context: &RpcContext<'_>,
        sink: ServerStreamingSink<M>,
        pool: fn(&Pools) -> &Pool,
        work: impl FnOnce(&dyn Worker, &mut EventSink<M>) -> Result<(), WorkerError> + Send + 'static,
    ) {
        let worker = Arc::clone(&self.worker);
        let call = Arc::new(Mutex::new(Some(sink)));
        let job = {
            let call = Arc::clone(&call);
            move || {
                if let Some(sink) = lock(&call).take() {
                    let mut events = EventSink::new(sink);
                    let result = work(worker.as_ref(), &mut events);
                    events.finish(result.map_err(|error| error.to_refusal()));
                }
            }
        };
        if self.submit(pool, job) {
            return;
        }
        if let Some(sink) = lock(&call).take() {
            let sent = sink.fail(busy().to_status());
            context.spawn(async move {
                note_left(sent.await);
            });
        }
    }

    /// Has a pushed release read and answered by the pool for releases.
    pub(super) fn receive_on(
        &self,
        context: &RpcContext<'_>,
        stream: RequestStream<proto::ReleaseChunk>,
        sink: ClientStreamingSink<proto::DeploymentAck>,
        work: fn(
            &dyn Worker,
            RequestStream<proto::ReleaseChunk>,
            ClientStreamingSink<proto::DeploymentAck>,
        ),
    ) {
        let worker = Arc::clone(&self.worker);
        let call = Arc::new(Mutex::new(Some((stream, sink))));
        let job = {
            let call = Arc::clone(&call);
            move || {
                if let Some((stream, sink)) = lock(&call).take() {
                    work(worker.as_ref(), stream, sink);
                }
            }
        };
        if self.submit(|pools| &pools.releases, job) {
            return;
        }
        if let Some((stream, sink)) = lock(&call).take() {
            let sent = sink.fail(busy().to_status());
            context.spawn(async move {
                note_left(sent.await);
                // Until here: dropped unread, it cancels the call.
                drop(stream);
            });
        }
    }

    /// Gives an execution's answer: usually on the execution's own thread, which may block.
    pub(super) fn answer_execution(
        &self,
        reply: &Reply<proto::ExecutionResponse>,
        answer: ExecutionAnswer,
    ) {
        if !must_not_block() {
            return reply.send(answer);
        }
        let reply = reply.clone();
        if !self.submit(|pools| &pools.calls, move || reply.send(answer)) {
            log::warn!("an execution's answer was dropped: every thread for calls is taken");
        }
    }

    /// Whether the pool takes the job.
    fn submit(&self, pool: fn(&Pools) -> &Pool, job: impl FnOnce() + Send + 'static) -> bool {
        self.pools
            .upgrade()
            .is_some_and(|pools| pool(&pools).submit(job).is_ok())
    }
}

fn busy() -> Refusal {
    WorkerError::new(ErrorKind::Busy, "").to_refusal()
}
