//! Records of executions, as agents give them to control planes that read records; those that read
//! texts alone get the JSON of `record`.

use super::ending::ending_from_parts;
use super::error::WireError;
use super::number::{count, millis, millis_out, out};
use super::proto;
use crate::base::clock::Timestamp;
use crate::base::units::Mib;
use crate::model::execution::{Ending, ExecutionRecord, Usage};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};

/// Encodes it for the control plane.
pub(crate) fn record_to_proto(record: &ExecutionRecord) -> proto::ExecutionRecord {
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

/// An agent speaks for what it ran, and about what it was asked for: a record of anything else is none.
///
/// # Errors
/// Which of the two it is not.
pub(crate) fn check_origin(
    record: &ExecutionRecord,
    asked: &ExecutionId,
    agent: &AgentId,
) -> Result<(), WireError> {
    check_agent(record, agent)?;
    if record.id != *asked {
        let found = record.id.as_str();
        return Err(WireError::word(
            "execution_id",
            found,
            "the one that was asked for",
        ));
    }
    Ok(())
}

/// # Errors
/// The record is another agent's.
pub(crate) fn check_agent(record: &ExecutionRecord, agent: &AgentId) -> Result<(), WireError> {
    if record.agent != *agent {
        let found = record.agent.as_str();
        return Err(WireError::word(
            "agent_id",
            found,
            "the agent that was asked",
        ));
    }
    Ok(())
}

/// From an agent.
///
/// # Errors
/// The first field that breaks its rule; also a status that does not follow from its reason.
pub(crate) fn record_from_proto(
    message: proto::ExecutionRecord,
) -> Result<ExecutionRecord, WireError> {
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

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::ending::UNKNOWN_EXIT_CODE;

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
}
