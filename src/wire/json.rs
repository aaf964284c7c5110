//! A record as JSON: what the HTTP API answers, and what agents answer to GetExecution.
//!
//! Written in one shape: `reason`, `exit_code` and `signal` are null while they do not apply, and
//! `max_disk_bytes` when nobody knows it; everything else is always there. Read leniently: legacy agents send only the fields that
//! the contract had before, and any of them may be null.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::error::WireError;
use super::execution::{ending_from_parts, ending_without_reason, status, to_mib};
use crate::base::clock::Timestamp;
use crate::base::units::Mib;
use crate::model::execution::{Ending, Executed, ExecutionRecord, Usage};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};

/// `exit_code` of a run of which its agent says only that it failed.
pub const UNKNOWN_EXIT_CODE: i32 = -1;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordJson {
    execution_id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    agent_id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    function_name: String,
    status: String,
    #[serde(default, deserialize_with = "null_as_default")]
    output: String,
    #[serde(default, deserialize_with = "null_as_default")]
    error: String,
    #[serde(default, deserialize_with = "null_as_default")]
    duration_ms: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    started_at: String,
    #[serde(default, deserialize_with = "null_as_default")]
    status_at: String,
    #[serde(default)]
    exit_code: Option<i32>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    signal: Option<i32>,
    #[serde(default, deserialize_with = "null_as_default")]
    usage: UsageJson,
    #[serde(default, deserialize_with = "null_as_default")]
    stdout_bytes: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    stderr_bytes: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    truncated: bool,
    #[serde(default, deserialize_with = "null_as_default")]
    function_version: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    queued_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct UsageJson {
    cpu_ms: u64,
    max_rss_mb: u64,
    io_read_bytes: u64,
    io_write_bytes: u64,
    max_disk_bytes: Option<u64>,
}

impl RecordJson {
    /// `output` is the merged output; what is not UTF-8 in it becomes U+FFFD.
    pub fn new(record: &ExecutionRecord, output: &[u8]) -> RecordJson {
        RecordJson {
            execution_id: record.id.to_string(),
            agent_id: record.agent.to_string(),
            function_name: record.function.to_string(),
            status: record.status().as_str().to_owned(),
            output: String::from_utf8_lossy(output).into_owned(),
            error: record.error.clone(),
            duration_ms: millis(record.duration),
            started_at: record.started_at.to_rfc3339(),
            status_at: record.status_at.to_rfc3339(),
            exit_code: record.ending.and_then(Ending::exit_code),
            reason: record.ending.map(|ending| ending.reason().to_owned()),
            signal: record.ending.and_then(Ending::signal),
            usage: UsageJson {
                cpu_ms: millis(record.usage.cpu),
                max_rss_mb: to_mib(record.usage.max_rss_bytes),
                io_read_bytes: record.usage.io_read_bytes,
                io_write_bytes: record.usage.io_write_bytes,
                max_disk_bytes: record.usage.max_disk_bytes,
            },
            stdout_bytes: record.stdout_bytes,
            stderr_bytes: record.stderr_bytes,
            truncated: record.truncated,
            function_version: record.function_version,
            queued_ms: millis(record.queued),
        }
    }

    /// Compact JSON.
    ///
    /// # Errors
    /// [`WireError::Json`]; texts and numbers alone give no cause for it.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// # Errors
    /// [`WireError::Json`] when it is no JSON object with an `execution_id` and a `status`, or a
    /// field has another type.
    pub fn decode(bytes: &[u8]) -> Result<RecordJson, WireError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The record and its merged output. `asked` says who was asked about what: a legacy
    /// agent may leave its id out.
    ///
    /// # Errors
    /// The first field that breaks its rule.
    pub fn into_executed(self, asked: &AgentId) -> Result<Executed, WireError> {
        let mut error = self.error;
        let ending = match self.reason.as_deref() {
            None | Some("") => ending_without_reason(status(&self.status)?),
            Some(reason) => ending_from_parts(
                &self.status,
                reason,
                self.exit_code,
                self.signal,
                &mut error,
            )?,
        };
        let agent = match self.agent_id.as_str() {
            "" => asked.clone(),
            id => AgentId::new(id)?,
        };
        let started_at = time("started_at", &self.started_at)?;
        let record = ExecutionRecord {
            id: ExecutionId::new(&self.execution_id)?,
            agent,
            function: FunctionName::new(&self.function_name)?,
            function_version: self.function_version,
            ending,
            error,
            started_at,
            status_at: time("status_at", &self.status_at)?.max(started_at),
            duration: Duration::from_millis(self.duration_ms),
            queued: Duration::from_millis(self.queued_ms),
            stdout_bytes: self.stdout_bytes,
            stderr_bytes: self.stderr_bytes,
            truncated: self.truncated,
            usage: Usage {
                cpu: Duration::from_millis(self.usage.cpu_ms),
                max_rss_bytes: Mib(self.usage.max_rss_mb).bytes(),
                io_read_bytes: self.usage.io_read_bytes,
                io_write_bytes: self.usage.io_write_bytes,
                max_disk_bytes: self.usage.max_disk_bytes,
            },
        };
        Ok(Executed {
            record,
            output: self.output.into_bytes(),
        })
    }
}

fn time(field: &'static str, text: &str) -> Result<Timestamp, WireError> {
    if text.is_empty() {
        return Ok(Timestamp::default());
    }
    Timestamp::parse_rfc3339(text).ok_or_else(|| WireError::word(field, text, "an RFC 3339 time"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::super::execution::tests::{ENDINGS, record};
    use super::*;

    fn agent() -> AgentId {
        AgentId::new("asked").expect("id")
    }

    #[test]
    fn records_survive_json_in_every_ending() {
        for ending in ENDINGS {
            let bytes = RecordJson::new(&record(ending), b"out")
                .encode()
                .expect("json");
            let back = RecordJson::decode(&bytes)
                .and_then(|json| json.into_executed(&agent()))
                .expect("valid");
            let expected = Executed {
                record: record(ending),
                output: b"out".to_vec(),
            };
            assert_eq!(back, expected);
        }
    }

    #[test]
    fn the_json_has_every_field_of_the_contract_and_nulls_where_nothing_applies() {
        let json = RecordJson::new(&record(None), b"a\xffb");
        let value = serde_json::to_value(&json).expect("json");
        assert_eq!(
            value,
            serde_json::json!({
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
            })
        );
    }

    #[test]
    fn what_a_legacy_agent_sends_is_understood() {
        let text = br#"{"execution_id":"e1","function_name":"f","status":"failed","output":null,
            "error":"exit status 1","duration_ms":12,"started_at":"2026-03-01T12:00:00.125999999Z",
            "status_at":"2026-03-01T13:00:00+01:00","something_new":[1]}"#;
        let Executed { record, output } = RecordJson::decode(text)
            .and_then(|json| json.into_executed(&agent()))
            .expect("valid");
        assert_eq!(record.ending, Some(Ending::Exited(UNKNOWN_EXIT_CODE)));
        assert_eq!(record.agent, agent());
        assert_eq!(record.started_at, Timestamp::from_millis(1_772_366_400_125));
        assert_eq!(record.error, "exit status 1");
        assert_eq!(output, b"");
        for (status, ending) in [
            ("running", None),
            ("success", Some(Ending::Exited(0))),
            ("cancelled", Some(Ending::Cancelled)),
        ] {
            let text = format!(r#"{{"execution_id":"e","function_name":"f","status":"{status}"}}"#);
            let executed = RecordJson::decode(text.as_bytes())
                .and_then(|json| json.into_executed(&agent()))
                .expect("valid");
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
            let read =
                RecordJson::decode(text.as_bytes()).and_then(|json| json.into_executed(&agent()));
            assert!(read.is_err(), "{text}");
        }
    }
}
