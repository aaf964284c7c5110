//! Requests to execute, and the records of what came of them.

use std::time::Duration;

use super::ends::{mark_from_proto, mark_to_proto};
use super::error::WireError;
use super::number::{count, count_u32, millis, millis_out, out, out_i32};
use super::output::changes_to_proto;
use super::proto;
use super::record::UNKNOWN_EXIT_CODE;
use crate::base::clock::Timestamp;
use crate::base::units::Mib;
use crate::model::ends::Mark;
use crate::model::execution::{Ending, Executed, ExecutionRecord, Status, Usage};
use crate::model::function::{Env, check_env};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};

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
    /// What to run.
    pub function: FunctionName,
    /// Its arguments.
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

/// What a cancel found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelOutcome {
    /// It ran, and no process of it is alive any more.
    Cancelled,
    /// It had ended before.
    AlreadyEnded,
    /// The agent keeps no such execution.
    UnknownExecution,
}

/// Which records are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecutionQuery {
    /// Of this function only.
    pub function: Option<FunctionName>,
    /// In this status only.
    pub status: Option<Status>,
    /// At the most; 0 leaves it to the agent.
    pub limit: u32,
    /// Only ids that sort before this one.
    pub before: Option<ExecutionId>,
    /// Only what runs, and what ended after this.
    pub ended_after: Option<Mark>,
}

/// An agent's answer to a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainState {
    /// Whether it accepts nothing now.
    pub draining: bool,
    /// Executions that still run.
    pub active_tasks: u32,
}

/// For an agent. Takes the request, because arguments and input can be large.
pub fn request_to_proto(request: ExecuteRequest) -> proto::ExecutionRequest {
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
pub fn request_from_proto(message: proto::ExecutionRequest) -> Result<ExecuteRequest, WireError> {
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

/// For a caller that reads records.
pub fn response_to_proto(executed: Executed) -> proto::ExecutionResponse {
    proto::ExecutionResponse {
        output_changes: changes_to_proto(&executed.output),
        output: executed.output.bytes,
        error: executed.record.error.clone(),
        duration_ms: millis_out(executed.record.duration),
        record: Some(record_to_proto(&executed.record)),
    }
}

/// For the control plane.
pub fn record_to_proto(record: &ExecutionRecord) -> proto::ExecutionRecord {
    proto::ExecutionRecord {
        execution_id: record.id.to_string(),
        agent_id: record.agent.to_string(),
        function_name: record.function.to_string(),
        function_version: out(record.function_version),
        status: record.status().as_str().to_owned(),
        reason: record.ending.map_or("", Ending::reason).to_owned(),
        error: record.error.clone(),
        exit_code: record.ending.and_then(Ending::exit_code),
        signal: record.ending.and_then(Ending::signal),
        started_at_ms: record.started_at.as_millis(),
        status_at_ms: record.status_at.as_millis(),
        duration_ms: millis_out(record.duration),
        queued_ms: millis_out(record.queued),
        stdout_bytes: out(record.stdout_bytes),
        stderr_bytes: out(record.stderr_bytes),
        truncated: record.truncated,
        usage: Some(usage_to_proto(record.usage)),
    }
}

/// From an agent.
///
/// # Errors
/// The first field that breaks its rule; also a status that does not follow from its reason.
pub fn record_from_proto(message: proto::ExecutionRecord) -> Result<ExecutionRecord, WireError> {
    let mut error = message.error;
    let ending = ending_from_parts(
        &message.status,
        &message.reason,
        message.exit_code,
        message.signal,
        &mut error,
    )?;
    Ok(ExecutionRecord {
        id: ExecutionId::new(&message.execution_id)?,
        agent: AgentId::new(&message.agent_id)?,
        function: FunctionName::new(&message.function_name)?,
        function_version: count("function_version", message.function_version)?,
        ending,
        error,
        started_at: Timestamp::from_millis(message.started_at_ms),
        status_at: Timestamp::from_millis(message.status_at_ms),
        duration: millis("duration_ms", message.duration_ms)?,
        queued: millis("queued_ms", message.queued_ms)?,
        stdout_bytes: count("stdout_bytes", message.stdout_bytes)?,
        stderr_bytes: count("stderr_bytes", message.stderr_bytes)?,
        truncated: message.truncated,
        usage: usage_from_proto(&message.usage.unwrap_or_default())?,
    })
}

/// For an agent.
pub fn list_to_proto(query: &ExecutionQuery) -> proto::ListExecutionsRequest {
    proto::ListExecutionsRequest {
        function_name: query
            .function
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        status: query.status.map_or("", Status::as_str).to_owned(),
        limit: out_i32(query.limit),
        before: query
            .before
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        ended_after: query.ended_after.as_ref().map(mark_to_proto),
    }
}

/// From a control plane.
///
/// # Errors
/// The first field that breaks its rule.
pub fn list_from_proto(
    message: &proto::ListExecutionsRequest,
) -> Result<ExecutionQuery, WireError> {
    let status = match message.status.as_str() {
        "" => None,
        text => Some(status(text)?),
    };
    Ok(ExecutionQuery {
        function: optional(&message.function_name, FunctionName::new)?,
        status,
        limit: count_u32("limit", message.limit)?,
        before: optional(&message.before, ExecutionId::new)?,
        ended_after: message
            .ended_after
            .clone()
            .map(mark_from_proto)
            .transpose()?,
    })
}

/// For the control plane; `success` is what a legacy one reads: the execution runs no more
/// because of this call.
pub fn cancel_to_proto(outcome: CancelOutcome) -> proto::CancelResponse {
    let (message, number) = match outcome {
        CancelOutcome::Cancelled => ("cancelled", proto::CancelOutcome::Cancelled),
        CancelOutcome::AlreadyEnded => (
            "the execution has ended",
            proto::CancelOutcome::AlreadyEnded,
        ),
        CancelOutcome::UnknownExecution => (
            "execution not found",
            proto::CancelOutcome::UnknownExecution,
        ),
    };
    proto::CancelResponse {
        success: outcome == CancelOutcome::Cancelled,
        message: message.to_owned(),
        outcome: number.into(),
    }
}

/// From an agent; `None` when a legacy one says no and leaves the reason open.
pub fn cancel_from_proto(message: &proto::CancelResponse) -> Option<CancelOutcome> {
    match proto::CancelOutcome::from_i32(message.outcome) {
        Some(proto::CancelOutcome::Cancelled) => Some(CancelOutcome::Cancelled),
        Some(proto::CancelOutcome::AlreadyEnded) => Some(CancelOutcome::AlreadyEnded),
        Some(proto::CancelOutcome::UnknownExecution) => Some(CancelOutcome::UnknownExecution),
        Some(proto::CancelOutcome::Unspecified) | None => {
            message.success.then_some(CancelOutcome::Cancelled)
        }
    }
}

/// For the control plane.
pub fn drain_to_proto(state: DrainState) -> proto::DrainResponse {
    proto::DrainResponse {
        draining: state.draining,
        active_tasks: out_i32(state.active_tasks),
    }
}

/// From an agent.
///
/// # Errors
/// A count below zero.
pub fn drain_from_proto(message: &proto::DrainResponse) -> Result<DrainState, WireError> {
    Ok(DrainState {
        draining: message.draining,
        active_tasks: count_u32("active_tasks", message.active_tasks)?,
    })
}

/// A reason that this program does not know is a later one: the status is what there is, as with an
/// agent that says no reason, and `error` tells the word.
pub(super) fn ending_from_parts(
    status_text: &str,
    reason: &str,
    exit_code: Option<i32>,
    signal: Option<i32>,
    error: &mut String,
) -> Result<Option<Ending>, WireError> {
    let status = status(status_text)?;
    if status == Status::Running && reason.is_empty() {
        return Ok(None);
    }
    let is_later = !reason.is_empty() && !Ending::REASONS.contains(&reason);
    if is_later && let Some(ending) = ending_without_reason(status) {
        let separator = if error.is_empty() { "" } else { "; " };
        let word = shortened(reason);
        error.push_str(&format!(
            "{separator}its reason is {word:?}, of a later version"
        ));
        return Ok(Some(ending));
    }
    Ending::from_parts(reason, exit_code, signal)
        .filter(|ending| ending.status() == status)
        .map(Some)
        .ok_or_else(|| WireError::Ending {
            status: status_text.to_owned(),
            reason: shortened(reason),
        })
}

/// What a status alone says about the ending.
pub(super) fn ending_without_reason(status: Status) -> Option<Ending> {
    match status {
        Status::Running => None,
        Status::Success => Some(Ending::Exited(0)),
        Status::Failed => Some(Ending::Exited(UNKNOWN_EXIT_CODE)),
        Status::Cancelled => Some(Ending::Cancelled),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

pub(super) fn status(text: &str) -> Result<Status, WireError> {
    Status::parse(text)
        .ok_or_else(|| WireError::word("status", text, "running, success, failed or cancelled"))
}

fn usage_to_proto(usage: Usage) -> proto::Usage {
    proto::Usage {
        cpu_ms: millis_out(usage.cpu),
        max_rss_mb: out(Mib::rounded_up(usage.max_rss_bytes).0),
        io_read_bytes: out(usage.io_read_bytes),
        io_write_bytes: out(usage.io_write_bytes),
        max_disk_bytes: usage.max_disk_bytes.map(out),
    }
}

fn usage_from_proto(message: &proto::Usage) -> Result<Usage, WireError> {
    Ok(Usage {
        cpu: millis("cpu_ms", message.cpu_ms)?,
        max_rss_bytes: Mib(count("max_rss_mb", message.max_rss_mb)?).bytes(),
        io_read_bytes: count("io_read_bytes", message.io_read_bytes)?,
        io_write_bytes: count("io_write_bytes", message.io_write_bytes)?,
        max_disk_bytes: message
            .max_disk_bytes
            .map(|bytes| count("max_disk_bytes", bytes))
            .transpose()?,
    })
}

fn optional<T, E: Into<WireError>>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, WireError> {
    if text.is_empty() {
        return Ok(None);
    }
    parse(text).map(Some).map_err(Into::into)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::wire) fn record(ending: Option<Ending>) -> ExecutionRecord {
        ExecutionRecord {
            id: ExecutionId::new("0198f0c2-0000-7000-8000-000000000001").expect("id"),
            agent: AgentId::new("agent-1").expect("id"),
            function: FunctionName::new("resize").expect("name"),
            function_version: 3,
            ending,
            error: "because".into(),
            started_at: Timestamp::from_millis(1_772_366_400_125),
            status_at: Timestamp::from_millis(1_772_366_400_375),
            duration: Duration::from_millis(250),
            queued: Duration::from_millis(7),
            stdout_bytes: 10,
            stderr_bytes: 20,
            truncated: true,
            usage: Usage {
                cpu: Duration::from_millis(90),
                max_rss_bytes: 5 << 20,
                io_read_bytes: 1,
                io_write_bytes: 2,
                max_disk_bytes: Some(4096),
            },
        }
    }

    pub(in crate::wire) const ENDINGS: [Option<Ending>; 10] = [
        None,
        Some(Ending::Exited(0)),
        Some(Ending::Exited(3)),
        Some(Ending::Signalled(9)),
        Some(Ending::TimedOut),
        Some(Ending::OutOfMemory),
        Some(Ending::OutOfDisk),
        Some(Ending::Cancelled),
        Some(Ending::Lost),
        Some(Ending::SpawnFailed),
    ];

    #[test]
    fn records_survive_the_wire_in_every_ending() {
        for ending in ENDINGS {
            let back = record_from_proto(record_to_proto(&record(ending))).expect("valid");
            assert_eq!(back, record(ending));
        }
    }

    #[test]
    fn a_record_whose_status_and_reason_disagree_is_refused() {
        for (status, reason) in [
            ("success", "timed_out"),
            ("running", "exited"),
            ("failed", ""),
            ("done", "exited"),
            ("cancelled", "exited"),
        ] {
            let mut message = record_to_proto(&record(Some(Ending::Exited(0))));
            message.status = status.into();
            message.reason = reason.into();
            assert!(record_from_proto(message).is_err(), "{status} {reason}");
        }
    }

    #[test]
    fn a_later_reason_is_read_as_its_status_and_told() {
        for (status, ending) in [
            ("failed", Ending::Exited(UNKNOWN_EXIT_CODE)),
            ("cancelled", Ending::Cancelled),
            ("success", Ending::Exited(0)),
        ] {
            let mut message = record_to_proto(&record(Some(Ending::TimedOut)));
            message.status = status.into();
            message.reason = "evicted".into();
            let record = record_from_proto(message).expect("valid");
            assert_eq!(record.ending, Some(ending));
            assert_eq!(
                record.error,
                "because; its reason is \"evicted\", of a later version"
            );
        }
        let mut message = record_to_proto(&record(None));
        message.reason = "evicted".into();
        assert!(record_from_proto(message).is_err());
    }

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

    #[test]
    fn cancel_outcomes_survive_the_wire_and_a_legacy_agents_yes_is_one() {
        for outcome in [
            CancelOutcome::Cancelled,
            CancelOutcome::AlreadyEnded,
            CancelOutcome::UnknownExecution,
        ] {
            assert_eq!(cancel_from_proto(&cancel_to_proto(outcome)), Some(outcome));
        }
        let legacy = |success| proto::CancelResponse {
            success,
            ..Default::default()
        };
        assert_eq!(
            cancel_from_proto(&legacy(true)),
            Some(CancelOutcome::Cancelled)
        );
        assert_eq!(cancel_from_proto(&legacy(false)), None);
    }

    #[test]
    fn listing_queries_survive_the_wire() {
        for query in [
            ExecutionQuery::default(),
            ExecutionQuery {
                function: Some(FunctionName::new("f").expect("name")),
                status: Some(Status::Failed),
                limit: 5,
                before: Some(ExecutionId::new("e").expect("id")),
                ended_after: Some(Mark {
                    boot_id: "b".to_owned(),
                    sequence: 4,
                }),
            },
        ] {
            assert_eq!(
                list_from_proto(&list_to_proto(&query)).expect("valid"),
                query
            );
        }
    }
}
