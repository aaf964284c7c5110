//! A record from the JSON in which agents answer GetExecution.

use std::time::Duration;

use super::ending::{ending_from_parts, ending_without_reason, status};
use super::error::WireError;
use crate::base::clock::Timestamp;
use crate::base::units::Mib;
use crate::contract::record::Record;
use crate::model::execution::{Executed, ExecutionRecord, Usage};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::model::output::Output;

/// Encodes it for a control plane.
///
/// # Errors
/// [`WireError::Json`]; texts and numbers alone give no cause for it.
pub(crate) fn encode(executed: &Executed) -> Result<Vec<u8>, WireError> {
    Ok(serde_json::to_vec(&Record::new(executed))?)
}

/// From an agent. `asked` is who was asked: a legacy agent may leave its id out.
///
/// # Errors
/// [`WireError::Json`] when it is no JSON object with an `execution_id` and a `status`, or a field
/// has another type; else the first field that breaks its rule.
pub(crate) fn decode(bytes: &[u8], asked: &AgentId) -> Result<Executed, WireError> {
    let json: Record = serde_json::from_slice(bytes)?;
    let mut error = json.error;
    let ending = match json.reason.as_deref() {
        None | Some("") => ending_without_reason(status(&json.status)?),
        Some(reason) => ending_from_parts(
            &json.status,
            reason,
            json.exit_code,
            json.signal,
            &mut error,
        )?,
    };
    let agent = match json.agent_id.as_str() {
        "" => asked.clone(),
        id => AgentId::new(id)?,
    };
    let started_at = time("started_at", &json.started_at)?;
    let record = ExecutionRecord {
        id: ExecutionId::new(&json.execution_id)?,
        agent,
        function: FunctionName::new(&json.function_name)?,
        function_version: json.function_version,
        ending,
        error,
        started_at,
        status_at: time("status_at", &json.status_at)?.max(started_at),
        duration: Duration::from_millis(json.duration_ms),
        queued: Duration::from_millis(json.queued_ms),
        stdout_bytes: json.stdout_bytes,
        stderr_bytes: json.stderr_bytes,
        truncated: json.truncated,
        usage: Usage {
            cpu: Duration::from_millis(json.usage.cpu_ms),
            max_rss_bytes: Mib(json.usage.max_rss_mb).bytes(),
            io_read_bytes: json.usage.io_read_bytes,
            io_write_bytes: json.usage.io_write_bytes,
            max_disk_bytes: json.usage.max_disk_bytes,
        },
    };
    Ok(Executed {
        record,
        output: Output::of_stdout(json.output.unwrap_or_default().into_bytes()),
    })
}

fn time(field: &'static str, text: &str) -> Result<Timestamp, WireError> {
    if text.is_empty() {
        return Ok(Timestamp::default());
    }
    Timestamp::parse_rfc3339(text).ok_or_else(|| WireError::word(field, text, "an RFC 3339 time"))
}

#[cfg(test)]
mod tests {
    use super::super::execution::tests::{ENDINGS, record};
    use super::*;
    use crate::model::execution::Ending;
    use crate::wire::ending::UNKNOWN_EXIT_CODE;

    fn agent() -> AgentId {
        AgentId::new("asked").expect("id")
    }

    #[test]
    fn records_survive_json_in_every_ending() {
        for ending in ENDINGS {
            let executed = Executed {
                record: record(ending),
                output: Output::of_stdout(b"out".to_vec()),
            };
            let bytes = encode(&executed).expect("json");
            assert_eq!(decode(&bytes, &agent()).expect("valid"), executed);
        }
    }

    #[test]
    fn the_json_has_every_field_of_the_contract_and_nulls_where_nothing_applies() {
        let executed = Executed {
            record: record(None),
            output: Output::of_stdout(b"a\xffb".to_vec()),
        };
        let mut expected = serde_json::json!({
            "execution_id": "0198f0c2-0000-7000-8000-000000000001",
            "agent_id": "agent-1",
            "function_name": "resize",
            "status": "running",
            "output": "a\u{fffd}b",
            "error": "because",
            "duration_ms": 250,
            "started_at": "2026-03-01T12:00:00.125Z",
            "status_at": "2026-03-01T12:00:00.375Z",
            "exit_code": null,
            "reason": null,
            "signal": null,
            "usage": {
                "cpu_ms": 90, "max_rss_mb": 5, "io_read_bytes": 1, "io_write_bytes": 2,
                "max_disk_bytes": 4096
            },
            "stdout_bytes": 10,
            "stderr_bytes": 20,
            "truncated": true,
            "function_version": 3,
            "queued_ms": 7
        });
        let whole = serde_json::to_value(Record::new(&executed)).expect("json");
        assert_eq!(whole, expected);
        let listed = Record::without_output(&executed.record);
        expected.as_object_mut().expect("object").remove("output");
        assert_eq!(serde_json::to_value(listed).expect("json"), expected);
    }

    #[test]
    fn what_a_legacy_agent_sends_is_understood() {
        let text = br#"{"execution_id":"e1","function_name":"f","status":"failed","output":null,
            "error":"exit status 1","duration_ms":12,"started_at":"2026-03-01T12:00:00.125999999Z",
            "status_at":"2026-03-01T13:00:00+01:00","something_new":[1]}"#;
        let Executed { record, output } = decode(text, &agent()).expect("valid");
        assert_eq!(record.ending, Some(Ending::Exited(UNKNOWN_EXIT_CODE)));
        assert_eq!(record.agent, agent());
        assert_eq!(record.started_at, Timestamp::from_millis(1_772_366_400_125));
        assert_eq!(record.error, "exit status 1");
        assert_eq!(output, Output::default());
        for (status, ending) in [
            ("running", None),
            ("success", Some(Ending::Exited(0))),
            ("cancelled", Some(Ending::Cancelled)),
        ] {
            let text = format!(r#"{{"execution_id":"e","function_name":"f","status":"{status}"}}"#);
            let executed = decode(text.as_bytes(), &agent()).expect("valid");
            assert_eq!(executed.record.ending, ending, "{status}");
        }
    }

    #[test]
    fn what_is_no_record_is_an_error_and_no_guess() {
        for text in [
            "",
            "null",
            "[]",
            r#"{"execution_id":"e","function_name":"f"}"#,
            r#"{"execution_id":"e","function_name":"f","status":"done"}"#,
            r#"{"execution_id":"../e","function_name":"f","status":"running"}"#,
            r#"{"execution_id":"e","function_name":"f","status":"running","duration_ms":-1}"#,
            r#"{"execution_id":"e","function_name":"f","status":"running","started_at":"now"}"#,
            r#"{"execution_id":"e","function_name":"f","status":"success","reason":"timed_out"}"#,
        ] {
            assert!(decode(text.as_bytes(), &agent()).is_err(), "{text}");
        }
    }
}
