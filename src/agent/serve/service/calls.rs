//! The table of calls: what each of them asks of the worker, and on which pool.
//!
//! Completion-queue threads come in here: they convert and hand on.

use grpcio::{ClientStreamingSink, RequestStream, RpcContext, ServerStreamingSink, UnarySink};

use super::answering::Service;
use super::fields::{execution_id, function_name, invalid};
use super::messages::{record_json, rendered};
use super::pools::Pools;
use super::releases::{deployed, receive, unpacked};
use crate::agent::serve::worker_api::{Worker, WorkerError};
use crate::base::causes::with_causes;
use crate::base::pool::Pool;
use crate::rpc::serve::{EventSink, Reply};
use crate::wire;
use crate::wire::error::ErrorKind;
use crate::wire::execute::Protocol;
use crate::wire::proto;

/// One answer to ReadOutput; who wants more asks again.
const READ_OUTPUT_MOST: u64 = 8 << 20;

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
            let (header, archive) = unpacked(request)?;
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
        self.receive_on(&context, stream, sink, receive);
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

fn acknowledged(message: &str, remark: String) -> proto::FunctionAck {
    proto::FunctionAck {
        success: true,
        message: message.to_owned(),
        remark,
    }
}
