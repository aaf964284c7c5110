//! The protocol's service: each call becomes one call of the [`Worker`].
//!
//! The completion-queue threads convert and hand on; whatever may block runs on one of four
//! bounded pools, and a full pool refuses with `Busy`. Answers are bounded by the protocol's
//! message size: longer output is cut, and says so.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use grpcio::{ClientStreamingSink, RequestStream, RpcContext, ServerStreamingSink, UnarySink};
use openssl::sha::sha256;

use crate::agent::serve::worker_api::{Worker, WorkerError};
use crate::base::causes::with_causes;
use crate::base::pool::{Pool, PoolLimits};
use crate::base::threads::{Supervisor, lock};
use crate::model::execution::Executed;
use crate::model::function::Code;
use crate::model::ids::{Digest, ExecutionId, FunctionName};
use crate::rpc::Refusal;
use crate::rpc::legacy;
use crate::rpc::limits::{Keepalive, MAX_DEPLOY_BYTES};
use crate::rpc::serve::{ArchiveStream, EventSink, Reply, answer_push, must_not_block, note_left};
use crate::rpc::server::{AgentServer, ServerError};
use crate::rpc::tls::ServerIdentity;
use crate::wire;
use crate::wire::error::{ErrorKind, WireError};
use crate::wire::execute::Protocol;
use crate::wire::function::ReleaseHeader;
use crate::wire::proto;

/// Calls that read or write a little; a cancel among them waits for a process tree to die.
const CALLS: PoolLimits = PoolLimits {
    threads: 64,
    queued: 256,
    idle: IDLE,
};
/// Each writes an archive to disk, which more of them at once would only slow down.
const RELEASES: PoolLimits = PoolLimits {
    threads: 4,
    queued: 16,
    idle: IDLE,
};
/// Each waits for one execution's output, for as long as it runs.
const FOLLOWERS: PoolLimits = PoolLimits {
    threads: 256,
    queued: 0,
    idle: IDLE,
};
/// Each waits for the ends of all executions; as many as may subscribe. Apart from the followers,
/// so that these cannot keep a control plane from learning what ended.
const WATCHERS: PoolLimits = PoolLimits {
    threads: 16,
    queued: 0,
    idle: IDLE,
};
/// Keeps a burst's threads for the next one, and none over night.
const IDLE: Duration = Duration::from_secs(10);
/// Output in one answer, below what legacy peers take as a message.
const OUTPUT_MOST: usize = MAX_DEPLOY_BYTES - (64 << 10);
/// A change of stream in an answer: a number below 2^28, written in groups of seven bits.
const CHANGE_BYTES: usize = 4;
/// One answer to ReadOutput; who wants more asks again.
const READ_OUTPUT_MOST: u64 = 8 << 20;

/// A worker on the wire. Dropping it cuts off what runs; [`Serving::shutdown`] waits.
pub struct Serving {
    server: AgentServer,
    // After the server: nobody hands them work any more, and what they hold has been cut off.
    pools: Arc<Pools>,
}

struct Pools {
    calls: Pool,
    releases: Pool,
    followers: Pool,
    watchers: Pool,
}

impl Serving {
    /// Listens and serves. Port 0 takes a free one. Without an identity there is no TLS.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start(
        address: SocketAddr,
        identity: Option<Arc<ServerIdentity>>,
        worker: Arc<dyn Worker>,
        supervisor: &Supervisor,
        keepalive: Keepalive,
    ) -> Result<Serving, ServerError> {
        let pools = Arc::new(Pools {
            calls: Pool::new("agent-calls", CALLS, supervisor),
            releases: Pool::new("agent-releases", RELEASES, supervisor),
            followers: Pool::new("agent-followers", FOLLOWERS, supervisor),
            watchers: Pool::new("agent-watchers", WATCHERS, supervisor),
        });
        let service = Service {
            worker,
            // Weak: the last of these is dropped by a completion-queue thread, which must not
            // be the one that waits for the pools' threads.
            pools: Arc::downgrade(&pools),
            supervisor: supervisor.clone(),
        };
        let service = proto::create_agent_service(service);
        let server = AgentServer::start(address, identity, service, keepalive)?;
        Ok(Serving { server, pools })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Accepts nothing new, lets running calls end for `grace`, cuts off the rest, and joins
    /// every thread.
    pub fn shutdown(self, grace: Duration) {
        let Serving { server, pools } = self;
        server.shutdown(grace);
        drop(pools);
    }
}

#[derive(Clone)]
struct Service {
    worker: Arc<dyn Worker>,
    pools: Weak<Pools>,
    supervisor: Supervisor,
}

impl Service {
    /// Answers from the pool for calls.
    fn call<A: Send + 'static>(
        &self,
        context: &RpcContext<'_>,
        sink: UnarySink<A>,
        work: impl FnOnce(&dyn Worker) -> Result<A, WorkerError> + Send + 'static,
    ) {
        self.call_on(context, sink, |pools| &pools.calls, work);
    }

    fn call_on<A: Send + 'static>(
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
    fn stream_on<M: Send + 'static>(
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

    fn submit(&self, pool: fn(&Pools) -> &Pool, job: impl FnOnce() + Send + 'static) -> bool {
        self.pools
            .upgrade()
            .is_some_and(|pools| pool(&pools).submit(job).is_ok())
    }
}

impl proto::AgentService for Service {
    fn register_function(
        &mut self,
        context: RpcContext<'_>,
        request: proto::FunctionConfig,
        sink: UnarySink<proto::FunctionAck>,
    ) {
        self.call(&context, sink, move |worker| {
            let config = wire::function::config_from_proto(request).map_err(invalid)?;
            let remark = worker.register_function(config)?;
            Ok(acknowledged("registered", remark))
        });
    }

    fn deploy_function(
        &mut self,
        context: RpcContext<'_>,
        request: proto::DeploymentPackage,
        sink: UnarySink<proto::DeploymentAck>,
    ) {
        let pool: fn(&Pools) -> &Pool = |pools| &pools.releases;
        self.call_on(&context, sink, pool, move |worker| {
            let archive = request.code_archive;
            let header = ReleaseHeader {
                function: function_name(&request.function_name)?,
                code: Code {
                    version: 0,
                    digest: Digest::from_sha256(sha256(&archive)),
                },
                size_bytes: archive.len() as u64,
                config: request
                    .config
                    .map(wire::function::config_from_proto)
                    .transpose()
                    .map_err(invalid)?,
            };
            let remark = worker.install_release(header, &mut archive.as_slice())?;
            Ok(deployed(remark))
        });
    }

    fn push_release(
        &mut self,
        context: RpcContext<'_>,
        stream: RequestStream<proto::ReleaseChunk>,
        sink: ClientStreamingSink<proto::DeploymentAck>,
    ) {
        let worker = Arc::clone(&self.worker);
        let call = Arc::new(Mutex::new(Some((stream, sink))));
        let job = {
            let call = Arc::clone(&call);
            move || {
                if let Some((stream, sink)) = lock(&call).take() {
                    receive_release(worker.as_ref(), stream, sink);
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

    fn execute_function(
        &mut self,
        context: RpcContext<'_>,
        request: proto::ExecutionRequest,
        sink: UnarySink<proto::ExecutionResponse>,
    ) {
        let reply = Reply::new(sink);
        let protocol = match request.protocol {
            0 => Protocol::Legacy,
            _ => Protocol::Flux,
        };
        let request = match wire::execute::request_from_proto(request) {
            Ok(request) => request,
            Err(error) => {
                return reply.send_from(&context, rendered(protocol, Err(invalid(error))));
            }
        };
        let service = self.clone();
        let on_done = {
            let reply = reply.clone();
            Box::new(move |result| service.answer_execution(&reply, rendered(protocol, result)))
        };
        self.supervisor.guard("rpc-server", || {
            if let Err(refused) = self.worker.execute(request, on_done) {
                reply.send_from(&context, rendered(protocol, Err(refused)));
            }
        });
    }

    fn cancel_execution(
        &mut self,
        context: RpcContext<'_>,
        request: proto::CancelRequest,
        sink: UnarySink<proto::CancelResponse>,
    ) {
        self.call(&context, sink, move |worker| {
            let outcome = worker.cancel(&execution_id(&request.execution_id)?)?;
            Ok(wire::cancel::cancel_to_proto(outcome))
        });
    }

    fn get_execution(
        &mut self,
        context: RpcContext<'_>,
        request: proto::GetExecutionRequest,
        sink: UnarySink<proto::GetExecutionResponse>,
    ) {
        self.call(&context, sink, move |worker| {
            let Some(executed) = worker.get_execution(&execution_id(&request.execution_id)?)?
            else {
                return Ok(proto::GetExecutionResponse::default());
            };
            Ok(proto::GetExecutionResponse {
                found: true,
                data: record_json(executed).map_err(invalid)?,
            })
        });
    }

    fn follow_execution(
        &mut self,
        context: RpcContext<'_>,
        request: proto::FollowRequest,
        sink: ServerStreamingSink<proto::FollowEvent>,
    ) {
        let pool: fn(&Pools) -> &Pool = |pools| &pools.followers;
        self.stream_on(&context, sink, pool, move |worker, events| {
            follow(worker, &request, events)
        });
    }

    fn watch_executions(
        &mut self,
        context: RpcContext<'_>,
        _: proto::WatchRequest,
        sink: ServerStreamingSink<proto::WatchEvent>,
    ) {
        let pool: fn(&Pools) -> &Pool = |pools| &pools.watchers;
        self.stream_on(&context, sink, pool, move |worker, events| {
            let left = events.left();
            worker.watch(&left, &mut |event| {
                events.send(wire::watch::to_proto(event))
            })
        });
    }

    fn read_ends(
        &mut self,
        context: RpcContext<'_>,
        request: proto::ReadEndsRequest,
        sink: UnarySink<proto::ReadEndsResponse>,
    ) {
        self.call(&context, sink, move |worker| {
            let query = wire::ends::query_from_proto(request).map_err(invalid)?;
            worker.read_ends(&query).map(wire::ends::ends_to_proto)
        });
    }

    fn settle_execution(
        &mut self,
        context: RpcContext<'_>,
        request: proto::SettleRequest,
        sink: UnarySink<proto::SettleResponse>,
    ) {
        self.call(&context, sink, move |worker| {
            let query = wire::ends::settle_from_proto(&request).map_err(invalid)?;
            let settled = worker.settle(&query)?;
            Ok(wire::ends::settled_to_proto(&settled))
        });
    }

    fn read_output(
        &mut self,
        context: RpcContext<'_>,
        request: proto::ReadOutputRequest,
        sink: UnarySink<proto::ReadOutputResponse>,
    ) {
        self.call(&context, sink, move |worker| {
            let mut query = wire::output::query_from_proto(&request).map_err(invalid)?;
            query.limit = match query.limit {
                0 => READ_OUTPUT_MOST,
                limit => limit.min(READ_OUTPUT_MOST),
            };
            Ok(wire::output::piece_to_proto(worker.read_output(&query)?))
        });
    }

    fn remove_function(
        &mut self,
        context: RpcContext<'_>,
        request: proto::RemoveFunctionRequest,
        sink: UnarySink<proto::FunctionAck>,
    ) {
        self.call(&context, sink, move |worker| {
            worker.remove_function(&function_name(&request.function_name)?)?;
            Ok(acknowledged("removed", String::new()))
        });
    }

    fn list_functions(
        &mut self,
        context: RpcContext<'_>,
        _: proto::ListFunctionsRequest,
        sink: UnarySink<proto::ListFunctionsResponse>,
    ) {
        self.call(&context, sink, move |worker| {
            let held = worker.list_functions()?;
            let functions = held.iter().map(wire::function::held_to_proto).collect();
            Ok(proto::ListFunctionsResponse { functions })
        });
    }

    fn list_executions(
        &mut self,
        context: RpcContext<'_>,
        request: proto::ListExecutionsRequest,
        sink: UnarySink<proto::ListExecutionsResponse>,
    ) {
        self.call(&context, sink, move |worker| {
            let query = wire::listing::list_from_proto(&request).map_err(invalid)?;
            let records = worker.list_executions(&query)?;
            let executions = records
                .iter()
                .map(wire::execution::record_to_proto)
                .collect();
            Ok(proto::ListExecutionsResponse { executions })
        });
    }

    fn drain(
        &mut self,
        context: RpcContext<'_>,
        request: proto::DrainRequest,
        sink: UnarySink<proto::DrainResponse>,
    ) {
        self.call(&context, sink, move |worker| {
            worker.drain(request.drain).map(wire::drain::drain_to_proto)
        });
    }

    fn report_node_status(
        &mut self,
        context: RpcContext<'_>,
        request: proto::NodeStatusRequest,
        sink: UnarySink<proto::NodeStatusResponse>,
    ) {
        self.supervisor.guard("rpc-server", || {
            match request.kept.map(wire::ends::mark_from_proto) {
                Some(Ok(kept)) => self.worker.ends_kept(&kept),
                Some(Err(error)) => log::warn!(
                    "what a control plane says that it keeps makes no sense: {}",
                    with_causes(&error)
                ),
                None => {}
            }
            let report = wire::node::to_proto(self.worker.node_status());
            Reply::new(sink).send_from(&context, Ok(report));
        });
    }

    fn health_check(
        &mut self,
        context: RpcContext<'_>,
        _: proto::HealthCheckRequest,
        sink: UnarySink<proto::HealthCheckResponse>,
    ) {
        self.supervisor.guard("rpc-server", || {
            let health = self.worker.health();
            let answer = proto::HealthCheckResponse {
                healthy: health.healthy,
                version: health.version,
            };
            Reply::new(sink).send_from(&context, Ok(answer));
        });
    }
}

type ExecutionAnswer = Result<proto::ExecutionResponse, Refusal>;

impl Service {
    /// Usually on the execution's own thread.
    fn answer_execution(&self, reply: &Reply<proto::ExecutionResponse>, answer: ExecutionAnswer) {
        if !must_not_block() {
            return reply.send(answer);
        }
        let reply = reply.clone();
        if !self.submit(|pools| &pools.calls, move || reply.send(answer)) {
            log::warn!("an execution's answer was dropped: every thread for calls is taken");
        }
    }
}

/// In the words of the caller: a legacy control plane reads texts.
fn rendered(protocol: Protocol, result: Result<Executed, WorkerError>) -> ExecutionAnswer {
    let result = result.map(bounded).map_err(|error| error.to_refusal());
    match (protocol, result) {
        (Protocol::Flux, result) => result.map(wire::execute::response_to_proto),
        (Protocol::Legacy, Ok(executed)) => Ok(legacy::response(executed)),
        (Protocol::Legacy, Err(refusal)) => Ok(legacy::refused(&refusal)),
    }
}

/// Output that no message can carry must not turn a success into an error.
fn bounded(mut executed: Executed) -> Executed {
    let output = &mut executed.output;
    let changes = output.segments.starts().len() * CHANGE_BYTES;
    let room = OUTPUT_MOST.saturating_sub(changes);
    if output.bytes.len() > room {
        output.truncate(room);
        executed.record.truncated = true;
    }
    executed
}

/// JSON writes a control character in six bytes: what fits as bytes may not fit as JSON.
fn record_json(executed: Executed) -> Result<Vec<u8>, WireError> {
    let mut executed = bounded(executed);
    loop {
        let json = wire::record::encode(&executed)?;
        if json.len() <= MAX_DEPLOY_BYTES - 1024 || executed.output.bytes.is_empty() {
            return Ok(json);
        }
        executed.output.truncate(executed.output.bytes.len() / 2);
        executed.record.truncated = true;
    }
}

fn follow(
    worker: &dyn Worker,
    request: &proto::FollowRequest,
    events: &mut EventSink<proto::FollowEvent>,
) -> Result<(), WorkerError> {
    let id = execution_id(&request.execution_id)?;
    let offset = u64::try_from(request.offset)
        .map_err(|error| WorkerError::new(ErrorKind::Invalid, "offset").because(error))?;
    let left = events.left();
    worker.follow(&id, offset, &left, &mut |event| {
        events.send(wire::output::event_to_proto(event))
    })
}

fn receive_release(
    worker: &dyn Worker,
    stream: RequestStream<proto::ReleaseChunk>,
    sink: ClientStreamingSink<proto::DeploymentAck>,
) {
    let mut archive = ArchiveStream::new(stream);
    let result = archive
        .header()
        .map_err(|error| WorkerError::new(ErrorKind::Invalid, "release").because(error))
        .and_then(|header| wire::function::header_from_proto(header).map_err(invalid))
        .and_then(|header| worker.install_release(header, &mut archive))
        .map(deployed);
    answer_push(sink, result.map_err(|error| error.to_refusal()));
    // Until here: dropped unread, it cancels the call.
    drop(archive);
}

fn busy() -> Refusal {
    WorkerError::new(ErrorKind::Busy, "").to_refusal()
}

fn invalid(error: WireError) -> WorkerError {
    WorkerError::new(ErrorKind::Invalid, "the request").because(error)
}

fn function_name(text: &str) -> Result<FunctionName, WorkerError> {
    FunctionName::new(text).map_err(|error| invalid(error.into()))
}

fn execution_id(text: &str) -> Result<ExecutionId, WorkerError> {
    ExecutionId::new(text).map_err(|error| invalid(error.into()))
}

fn acknowledged(message: &str, remark: String) -> proto::FunctionAck {
    proto::FunctionAck {
        success: true,
        message: message.to_owned(),
        remark,
    }
}

fn deployed(remark: String) -> proto::DeploymentAck {
    proto::DeploymentAck {
        success: true,
        message: "deployed".to_owned(),
        remark,
    }
}
