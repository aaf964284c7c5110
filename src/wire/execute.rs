//! The call that runs a function: what an agent is asked, and what it answers.

use std::time::Duration;

use super::error::WireError;
use super::execution::record_to_proto;
use super::number::{count, millis, millis_out, out};
use super::output::changes_to_proto;
use super::proto;
use crate::model::execution::Executed;
use crate::model::function::{Env, check_env};
use crate::model::ids::{ExecutionId, FunctionName};

/// What the caller of an execution understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Texts in `error`: the implementation that Flux replaces.
    Legacy,
    /// Records, and refusals as typed statuses.
    Flux,
}

/// A wish to run a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecuteRequest {
    /// Chosen by the control plane.
    pub id: ExecutionId,
    /// By its name; its code and configuration are what the agent holds.
    pub function: FunctionName,
    /// After the program's own name, each as it is: no shell reads them.
    pub args: Vec<String>,
    /// Its standard input.
    pub stdin: Vec<u8>,
    /// Added to the function's own environment.
    pub env: Env,
    /// Answered when the work is durable instead of when it has ended.
    pub asynchronous: bool,
    /// What the caller understands.
    pub protocol: Protocol,
    /// Tightens the function's own timeout.
    pub timeout: Option<Duration>,
    /// The version that must run; absent = whichever is current.
    pub version: Option<u64>,
    /// Time spent in the control plane's queue.
    pub queued: Duration,
    /// The configuration that must be in force; absent = whichever is current.
    pub config_digest: Option<String>,
}

/// For an agent. Takes the request, because arguments and input can be large.
pub(crate) fn request_to_proto(request: ExecuteRequest) -> proto::ExecutionRequest {
    proto::ExecutionRequest {
        function_name: request.function.to_string(),
        args: request.args,
        execution_id: request.id.to_string(),
        r#async: request.asynchronous,
        protocol: match request.protocol {
            Protocol::Legacy => 0,
            Protocol::Flux => 1,
        },
        stdin: request.stdin,
        env: request.env.into_iter().collect(),
        // 0 would mean none.
        timeout_ms: request
            .timeout
            .map_or(0, |timeout| millis_out(timeout).max(1)),
        function_version: request.version.map_or(0, out),
        queued_ms: millis_out(request.queued),
        config_digest: request.config_digest.unwrap_or_default(),
    }
}

/// From a control plane. One of the legacy implementation may leave the id of a synchronous
/// execution to the agent.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn request_from_proto(
    message: proto::ExecutionRequest,
) -> Result<ExecuteRequest, WireError> {
    let env: Env = message.env.into_iter().collect();
    check_env(&env)?;
    let id = match message.execution_id.as_str() {
        "" if !message.r#async => ExecutionId::generate(),
        id => ExecutionId::new(id)?,
    };
    let timeout = millis("timeout_ms", message.timeout_ms)?;
    let version = count("function_version", message.function_version)?;
    Ok(ExecuteRequest {
        id,
        function: FunctionName::new(&message.function_name)?,
        args: message.args,
        stdin: message.stdin,
        env,
        asynchronous: message.r#async,
        protocol: match message.protocol {
            0 => Protocol::Legacy,
            // A later protocol is an addition to this one.
            _ => Protocol::Flux,
        },
        timeout: (!timeout.is_zero()).then_some(timeout),
        version: (version > 0).then_some(version),
        queued: millis("queued_ms", message.queued_ms)?,
        config_digest: (!message.config_digest.is_empty()).then_some(message.config_digest),
    })
}

/// The answer for a caller that reads records.
pub(crate) fn response_to_proto(executed: Executed) -> proto::ExecutionResponse {
    proto::ExecutionResponse {
        output_changes: changes_to_proto(&executed.output),
        output: executed.output.bytes,
        error: executed.record.error.clone(),
        duration_ms: millis_out(executed.record.duration),
        record: Some(record_to_proto(&executed.record)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ExecuteRequest {
        ExecuteRequest {
            id: ExecutionId::new("e1").expect("id"),
            function: FunctionName::new("resize").expect("name"),
            args: vec!["a b".into()],
            stdin: vec![0, 1, 255],
            env: Env::from([("A".into(), "1".into())]),
            asynchronous: true,
            protocol: Protocol::Flux,
            timeout: Some(Duration::from_millis(1500)),
            version: Some(4),
            queued: Duration::from_millis(3),
            config_digest: Some("d".into()),
        }
    }

    #[test]
    fn requests_survive_the_wire() {
        let bare = ExecuteRequest {
            timeout: None,
            version: None,
            config_digest: None,
            protocol: Protocol::Legacy,
            asynchronous: false,
            ..request()
        };
        for request in [request(), bare] {
            let back = request_from_proto(request_to_proto(request.clone())).expect("valid");
            assert_eq!(back, request);
        }
    }

    #[test]
    fn only_a_synchronous_request_may_leave_its_id_open() {
        let mut message = request_to_proto(request());
        message.execution_id.clear();
        assert!(request_from_proto(message.clone()).is_err());
        message.r#async = false;
        assert!(request_from_proto(message).is_ok());
    }

    #[test]
    fn an_environment_that_sets_a_name_of_flux_is_refused() {
        let mut message = request_to_proto(request());
        message.env.insert("FLUX_EXECUTION_ID".into(), "x".into());
        assert!(request_from_proto(message).is_err());
    }
}
