//! Calls to one agent, in values of `model` and `wire`. Every call blocks, has a deadline, and is
//! sent only on a connection that is there: what fails before is `Unreachable`, what fails after
//! is `Interrupted`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prost::Message;

use super::call::Sending;
use super::channel::{Channel, Patience};
use super::error::RpcError;
use super::limits::{CALL_DEADLINE, CANCEL_DEADLINE, MAX_MESSAGE_BYTES, STATUS_DEADLINE};
use crate::base::clock::Timestamp;
use crate::model::ends::Mark;
use crate::model::execution::{Executed, ExecutionRecord};
use crate::model::function::FunctionConfig;
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::wire;
use crate::wire::cancel::CancelOutcome;
use crate::wire::drain::DrainState;
use crate::wire::function::HeldFunction;
use crate::wire::listing::ExecutionQuery;
use crate::wire::method::Method;
use crate::wire::node::NodeReport;
use crate::wire::output::{OutputPiece, OutputQuery};
use crate::wire::proto;

/// What an agent says about its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether it can take work.
    pub healthy: bool,
    /// Of its program.
    pub version: String,
}

/// A connection to one agent. Cheap to clone.
#[derive(Clone)]
pub struct AgentClient {
    inner: Arc<Inner>,
    patience: Patience,
}

struct Inner {
    agent: AgentId,
    channel: Channel,
    is_legacy: AtomicBool,
}

impl AgentClient {
    pub(super) fn new(agent: AgentId, channel: Channel, is_legacy: bool) -> AgentClient {
        AgentClient {
            inner: Arc::new(Inner {
                agent,
                channel,
                is_legacy: AtomicBool::new(is_legacy),
            }),
            patience: Patience::UntilBound,
        }
    }

    /// The same for an agent that is known to be offline: when the last attempt to connect failed, it
    /// is unreachable at once. Connecting goes on without anybody who waits for it.
    pub(crate) fn fail_fast(self) -> AgentClient {
        AgentClient {
            patience: Patience::FailFast,
            ..self
        }
    }

    /// Whom this goes to.
    pub(crate) fn agent(&self) -> &AgentId {
        &self.inner.agent
    }

    /// Whether the agent has shown to be of the legacy implementation.
    pub fn is_legacy(&self) -> bool {
        self.inner.is_legacy.load(Ordering::Relaxed)
    }

    /// Whether the agent can take work.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub fn health(&self) -> Result<Health, RpcError> {
        let answer = self.call(
            proto::HEALTH_CHECK,
            &proto::HealthCheckRequest {},
            STATUS_DEADLINE,
        )?;
        Ok(Health {
            healthy: answer.healthy,
            version: answer.version,
        })
    }

    /// How the agent is; `now` is when it was asked. Tells it up to where its ends are kept, on disk.
    ///
    /// # Errors
    /// See [`RpcError`]; also when it says to be another agent than this one.
    pub fn node_status(&self, now: Timestamp, kept: Option<&Mark>) -> Result<NodeReport, RpcError> {
        // A probe that waited for further attempts would take longer than the pause between two
        // probes, and a dead agent would count as alive for all that time.
        let answer = self.call_by(
            Patience::FailFast,
            proto::REPORT_NODE_STATUS,
            &proto::NodeStatusRequest {
                kept: kept.map(wire::ends::mark_to_proto),
            },
            STATUS_DEADLINE,
        )?;
        let report = wire::node::from_proto(answer, now)?;
        if report.agent != self.inner.agent {
            return Err(RpcError::Rejected {
                message: format!("this is agent {}", report.agent),
            });
        }
        self.inner
            .is_legacy
            .store(report.is_legacy(), Ordering::Relaxed);
        Ok(report)
    }

    /// Makes a configuration known, or replaces it. Gives the agent's remark for people, which is
    /// empty mostly.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub fn register_function(&self, config: &FunctionConfig) -> Result<String, RpcError> {
        let request = wire::function::config_to_proto(config);
        let start = proto::REGISTER_FUNCTION;
        let answer = self.call(start, &request, CALL_DEADLINE)?;
        acknowledged(answer.success, answer.message)?;
        Ok(answer.remark)
    }

    /// Drops a function and its releases; what runs keeps its own.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub fn remove_function(&self, function: &FunctionName) -> Result<(), RpcError> {
        let request = proto::RemoveFunctionRequest {
            function_name: function.to_string(),
        };
        let start = proto::REMOVE_FUNCTION;
        let answer = self.call(start, &request, CALL_DEADLINE)?;
        acknowledged(answer.success, answer.message)
    }

    /// What the agent holds; `None` when it is of the legacy implementation and cannot say.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub fn list_functions(&self) -> Result<Option<Vec<HeldFunction>>, RpcError> {
        let start = proto::LIST_FUNCTIONS;
        match self.call(start, &proto::ListFunctionsRequest {}, CALL_DEADLINE) {
            Ok(answer) => {
                let functions = answer.functions.into_iter();
                let held = functions.map(wire::function::held_from_proto);
                Ok(Some(held.collect::<Result<_, _>>()?))
            }
            Err(RpcError::Unimplemented) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends an execution; when this answers, no process of it is alive.
    ///
    /// # Errors
    /// See [`RpcError`]; [`RpcError::Rejected`] when a legacy agent says no and not why.
    pub fn cancel(&self, execution: &ExecutionId) -> Result<CancelOutcome, RpcError> {
        let request = proto::CancelRequest {
            execution_id: execution.to_string(),
        };
        let start = proto::CANCEL_EXECUTION;
        let answer = self.call(start, &request, CANCEL_DEADLINE)?;
        wire::cancel::cancel_from_proto(&answer).ok_or(RpcError::Rejected {
            message: answer.message,
        })
    }

    /// A record and the merged output so far, what is not UTF-8 replaced; `None` when the agent
    /// keeps no such execution.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub fn get_execution(&self, execution: &ExecutionId) -> Result<Option<Executed>, RpcError> {
        let request = proto::GetExecutionRequest {
            execution_id: execution.to_string(),
        };
        let start = proto::GET_EXECUTION;
        let answer = self.call(start, &request, CALL_DEADLINE)?;
        if !answer.found {
            return Ok(None);
        }
        let executed = wire::record::decode(&answer.data, &self.inner.agent)?;
        wire::execution::check_origin(&executed.record, execution, &self.inner.agent)?;
        Ok(Some(executed))
    }

    /// A piece of recorded output; `None` when the agent keeps no such execution.
    ///
    /// # Errors
    /// See [`RpcError`]; [`RpcError::Unimplemented`] from a legacy agent.
    pub fn read_output(&self, query: &OutputQuery) -> Result<Option<OutputPiece>, RpcError> {
        let request = wire::output::query_to_proto(query);
        let start = proto::READ_OUTPUT;
        let answer = self.call(start, &request, CALL_DEADLINE)?;
        Ok(wire::output::piece_from_proto(answer)?)
    }

    /// Records without their output, newest first.
    ///
    /// # Errors
    /// See [`RpcError`]; [`RpcError::Unimplemented`] from a legacy agent.
    pub fn list_executions(
        &self,
        query: &ExecutionQuery,
    ) -> Result<Vec<ExecutionRecord>, RpcError> {
        let request = wire::listing::list_to_proto(query);
        let start = proto::LIST_EXECUTIONS;
        let answer = self.call(start, &request, CALL_DEADLINE)?;
        let records = answer.executions.into_iter().map(|record| {
            let record = wire::execution::record_from_proto(record)?;
            wire::execution::check_agent(&record, &self.inner.agent)?;
            Ok(record)
        });
        records.collect()
    }

    /// Starts or ends draining.
    ///
    /// # Errors
    /// See [`RpcError`]; [`RpcError::Unimplemented`] from a legacy agent.
    pub fn drain(&self, drain: bool) -> Result<DrainState, RpcError> {
        let request = proto::DrainRequest { drain };
        let start = proto::DRAIN;
        let answer = self.call(start, &request, CALL_DEADLINE)?;
        Ok(wire::drain::drain_from_proto(&answer)?)
    }

    /// Who answers at the other end of a connection without TLS.
    pub(super) fn plain_identity(channel: &Channel) -> Result<AgentId, RpcError> {
        let link = channel.ready(Patience::UntilBound)?;
        let request = proto::NodeStatusRequest::default();
        let answer = Sending::new(channel, proto::REPORT_NODE_STATUS)
            .within(STATUS_DEADLINE)
            .call(&link, &request)?;
        Ok(wire::node::from_proto(answer, Timestamp::default())?.agent)
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.inner.channel
    }

    /// Makes any call that has one request and one answer, within `deadline`.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub fn call<Q: Message, A: Message + Default>(
        &self,
        method: Method<Q, A>,
        request: &Q,
        deadline: Duration,
    ) -> Result<A, RpcError> {
        self.call_by(self.patience, method, request, deadline)
    }

    fn call_by<Q: Message, A: Message + Default>(
        &self,
        patience: Patience,
        method: Method<Q, A>,
        request: &Q,
        deadline: Duration,
    ) -> Result<A, RpcError> {
        fits(request)?;
        let channel = &self.inner.channel;
        let link = channel.ready(patience)?;
        Sending::new(channel, method)
            .within(deadline)
            .call(&link, request)
    }
}

/// A message that is too large is not sent, so that its refusal cannot be taken for the agent's.
pub(super) fn fits<M: Message>(message: &M) -> Result<(), RpcError> {
    let bytes = message.encoded_len();
    if bytes > MAX_MESSAGE_BYTES {
        return Err(RpcError::TooLarge {
            bytes,
            limit: MAX_MESSAGE_BYTES,
        });
    }
    Ok(())
}

pub(super) fn acknowledged(success: bool, message: String) -> Result<(), RpcError> {
    if success {
        Ok(())
    } else {
        Err(RpcError::Rejected { message })
    }
}
