//! The table of calls: what each of them asks of the worker, and on which pool.
//!
//! The threads that read connections come in here: they convert and hand on.

#![expect(
    clippy::needless_pass_by_value,
    reason = "each call is given its request, whatever it needs of it"
)]

use std::sync::Arc;

use super::answering::Service;
use super::fields::{execution_id, function_name, invalid};
use super::messages::{record_json, rendered};
use super::releases::{deployed, receive, unpacked};
use crate::agent::serve::worker_api::{Worker, WorkerError};
use crate::base::causes::with_causes;
use crate::model::ids::ExecutionId;
use crate::rpc::serve::{EventSink, Incoming, unary};
use crate::rpc::server;
use crate::wire;
use crate::wire::error::ErrorKind;
use crate::wire::execute::Protocol;
use crate::wire::proto::{self, AgentServiceCall as Call};

/// One answer to ReadOutput; who wants more asks again.
const READ_OUTPUT_MOST: u64 = 8 << 20;

impl server::Service for Service {
    fn is_streaming_in(path: &str) -> Option<bool> {
        Call::of(path).map(Call::streams_in)
    }

    fn serve(&self, incoming: Incoming) {
        // Else it would not have come here.
        let Some(call) = Call::of(&incoming.path) else {
            return;
        };
        match call {
            Call::RegisterFunction => self.call(proto::REGISTER_FUNCTION, incoming, register),
            Call::DeployFunction => {
                self.call_on(
                    |pools| &pools.releases,
                    proto::DEPLOY_FUNCTION,
                    incoming,
                    deploy,
                );
            }
            Call::PushRelease => self.receive_on(incoming, receive),
            Call::ExecuteFunction => self.execute(incoming),
            Call::CancelExecution => self.call(proto::CANCEL_EXECUTION, incoming, cancel),
            Call::GetExecution => self.call(proto::GET_EXECUTION, incoming, get_execution),
            Call::FollowExecution => {
                let method = proto::FOLLOW_EXECUTION;
                self.stream_on(|pools| &pools.followers, method, incoming, follow);
            }
            Call::WatchExecutions => {
                let method = proto::WATCH_EXECUTIONS;
                self.stream_on(|pools| &pools.watchers, method, incoming, watch);
            }
            Call::ReadEnds => self.call(proto::READ_ENDS, incoming, read_ends),
            Call::SettleExecution => self.call(proto::SETTLE_EXECUTION, incoming, settle),
            Call::ReadOutput => self.call(proto::READ_OUTPUT, incoming, read_output),
            Call::RemoveFunction => self.call(proto::REMOVE_FUNCTION, incoming, remove_function),
            Call::ListFunctions => self.call(proto::LIST_FUNCTIONS, incoming, list_functions),
            Call::ListExecutions => self.call(proto::LIST_EXECUTIONS, incoming, list_executions),
            Call::Drain => self.call(proto::DRAIN, incoming, |worker, request| {
                worker.drain(request.drain).map(wire::drain::drain_to_proto)
            }),
            Call::ReportNodeStatus => self.report_node_status(incoming),
            Call::HealthCheck => self.health_check(incoming),
        }
    }
}

/// Those that the thread that reads the connection carries out itself.
impl Service {
    fn execute(&self, incoming: Incoming) {
        let Some((request, reply)) = unary(proto::EXECUTE_FUNCTION, incoming) else {
            return;
        };
        let protocol = match request.protocol {
            0 => Protocol::Legacy,
            _ => Protocol::Flux,
        };
        let request = match wire::execute::request_from_proto(request) {
            Ok(request) => request,
            Err(error) => return reply.send(rendered(protocol, Err(invalid(error)))),
        };
        if !request.asynchronous && reply.on_cancel(self.cancelling(&request.id)).is_break() {
            return log::debug!("execution {}: its caller left before it began", request.id);
        }
        let on_done = {
            let reply = reply.clone();
            Box::new(move |result| reply.send(rendered(protocol, result)))
        };
        self.supervisor.guard("rpc-connection", || {
            if let Err(refused) = self.worker.execute(request, on_done) {
                reply.send(rendered(protocol, Err(refused)));
            }
        });
    }

    /// Ends an execution whose caller has cancelled his call.
    fn cancelling(&self, id: &ExecutionId) -> Box<dyn FnOnce() + Send> {
        let (service, id) = (self.clone(), id.clone());
        Box::new(move || {
            let worker = Arc::clone(&service.worker);
            let is_taken = service.submit(|pools| &pools.calls, {
                let id = id.clone();
                move || match worker.cancel(&id) {
                    Ok(outcome) => {
                        log::debug!("execution {id}: its call was cancelled: {outcome:?}");
                    }
                    Err(error) => log::warn!(
                        "execution {id}: its call was cancelled, and it cannot be: {}",
                        with_causes(&error)
                    ),
                }
            });
            if !is_taken {
                log::warn!("execution {id}: its call was cancelled, and nobody has time to end it");
            }
        })
    }

    fn report_node_status(&self, incoming: Incoming) {
        let Some((request, reply)) = unary(proto::REPORT_NODE_STATUS, incoming) else {
            return;
        };
        self.supervisor.guard("rpc-connection", || {
            match request.kept.map(wire::ends::mark_from_proto) {
                Some(Ok(kept)) => self.worker.ends_kept(&kept),
                Some(Err(error)) => log::warn!(
                    "what a control plane says that it keeps makes no sense: {}",
                    with_causes(&error)
                ),
                None => {}
            }
            reply.send(Ok(wire::node::to_proto(self.worker.node_status())));
        });
    }

    fn health_check(&self, incoming: Incoming) {
        let Some((_, reply)) = unary(proto::HEALTH_CHECK, incoming) else {
            return;
        };
        self.supervisor.guard("rpc-connection", || {
            let health = self.worker.health();
            reply.send(Ok(proto::HealthCheckResponse {
                healthy: health.healthy,
                version: health.version,
            }));
        });
    }
}

type Answer<A> = Result<A, WorkerError>;

fn register(worker: &dyn Worker, request: proto::FunctionConfig) -> Answer<proto::FunctionAck> {
    let config = wire::function::config_from_proto(request).map_err(invalid)?;
    let remark = worker.register_function(config)?;
    Ok(acknowledged("registered", remark))
}

fn deploy(worker: &dyn Worker, request: proto::DeploymentPackage) -> Answer<proto::DeploymentAck> {
    let (header, archive) = unpacked(request)?;
    let remark = worker.install_release(header, &mut archive.as_slice())?;
    Ok(deployed(remark))
}

fn remove_function(
    worker: &dyn Worker,
    request: proto::RemoveFunctionRequest,
) -> Answer<proto::FunctionAck> {
    worker.remove_function(&function_name(&request.function_name)?)?;
    Ok(acknowledged("removed", String::new()))
}

fn list_functions(
    worker: &dyn Worker,
    _: proto::ListFunctionsRequest,
) -> Answer<proto::ListFunctionsResponse> {
    let held = worker.list_functions()?;
    let functions = held.iter().map(wire::function::held_to_proto).collect();
    Ok(proto::ListFunctionsResponse { functions })
}

fn cancel(worker: &dyn Worker, request: proto::CancelRequest) -> Answer<proto::CancelResponse> {
    let outcome = worker.cancel(&execution_id(&request.execution_id)?)?;
    Ok(wire::cancel::cancel_to_proto(outcome))
}

fn read_ends(
    worker: &dyn Worker,
    request: proto::ReadEndsRequest,
) -> Answer<proto::ReadEndsResponse> {
    let query = wire::ends::query_from_proto(request).map_err(invalid)?;
    worker.read_ends(&query).map(wire::ends::ends_to_proto)
}

fn settle(worker: &dyn Worker, request: proto::SettleRequest) -> Answer<proto::SettleResponse> {
    let query = wire::ends::settle_from_proto(&request).map_err(invalid)?;
    let settled = worker.settle(&query)?;
    Ok(wire::ends::settled_to_proto(&settled))
}

fn read_output(
    worker: &dyn Worker,
    request: proto::ReadOutputRequest,
) -> Answer<proto::ReadOutputResponse> {
    let mut query = wire::output::query_from_proto(&request).map_err(invalid)?;
    query.limit = match query.limit {
        0 => READ_OUTPUT_MOST,
        limit => limit.min(READ_OUTPUT_MOST),
    };
    Ok(wire::output::piece_to_proto(worker.read_output(&query)?))
}

fn list_executions(
    worker: &dyn Worker,
    request: proto::ListExecutionsRequest,
) -> Answer<proto::ListExecutionsResponse> {
    let query = wire::listing::list_from_proto(&request).map_err(invalid)?;
    let records = worker.list_executions(&query)?;
    let executions = records.iter().map(wire::execution::record_to_proto);
    Ok(proto::ListExecutionsResponse {
        executions: executions.collect(),
    })
}

fn watch(
    worker: &dyn Worker,
    _: proto::WatchRequest,
    events: &mut EventSink<proto::WatchEvent>,
) -> Answer<()> {
    let left = events.left();
    worker.watch(&left, &mut |event| {
        events.send(&wire::watch::to_proto(event))
    })
}

fn get_execution(
    worker: &dyn Worker,
    request: proto::GetExecutionRequest,
) -> Answer<proto::GetExecutionResponse> {
    let Some(executed) = worker.get_execution(&execution_id(&request.execution_id)?)? else {
        return Ok(proto::GetExecutionResponse::default());
    };
    Ok(proto::GetExecutionResponse {
        found: true,
        data: record_json(executed).map_err(invalid)?,
    })
}

fn follow(
    worker: &dyn Worker,
    request: proto::FollowRequest,
    events: &mut EventSink<proto::FollowEvent>,
) -> Answer<()> {
    let id = execution_id(&request.execution_id)?;
    let offset = u64::try_from(request.offset)
        .map_err(|error| WorkerError::new(ErrorKind::Invalid, "offset").because(error))?;
    let left = events.left();
    worker.follow(&id, offset, &left, &mut |event| {
        events.send(&wire::output::event_to_proto(event))
    })
}

fn acknowledged(message: &str, remark: String) -> proto::FunctionAck {
    proto::FunctionAck {
        success: true,
        message: message.to_owned(),
        remark,
    }
}
