//! The record of an execution: what the API answers, and what agents answer to GetExecution.
//!
//! Written in one shape: `reason`, `exit_code` and `signal` are null while they do not apply, and
//! `max_disk_bytes` when nobody knows it; `output` is left out of listings; everything else is always
//! there. Legacy agents send only the fields that the contract had before, and any of them may be
//! null.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::null::null_as_default;
use crate::base::units::Mib;
use crate::model::execution::{Ending, Executed, ExecutionRecord};

/// One execution, running or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub execution_id: String,
    /// Where it runs or ran.
    #[serde(default, deserialize_with = "null_as_default")]
    pub agent_id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub function_name: String,
    /// `running`, `success`, `failed` or `cancelled`.
    pub status: String,
    /// stdout and stderr in the order of their arrival, with U+FFFD for what is no UTF-8; left out
    /// of listings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What went wrong, for people.
    #[serde(default, deserialize_with = "null_as_default")]
    pub error: String,
    /// So far, or in all.
    #[serde(default, deserialize_with = "null_as_default")]
    pub duration_ms: u64,
    /// RFC 3339.
    #[serde(default, deserialize_with = "null_as_default")]
    pub started_at: String,
    /// RFC 3339: when the status last changed.
    #[serde(default, deserialize_with = "null_as_default")]
    pub status_at: String,
    /// The exit code of a process that exited.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// How it ended; null while it runs.
    #[serde(default)]
    pub reason: Option<String>,
    /// Of a process that a signal ended.
    #[serde(default)]
    pub signal: Option<i32>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub usage: Usage,
    /// Written, also what was not kept.
    #[serde(default, deserialize_with = "null_as_default")]
    pub stdout_bytes: u64,
    /// Written, also what was not kept.
    #[serde(default, deserialize_with = "null_as_default")]
    pub stderr_bytes: u64,
    /// Whether not all of the output was kept.
    #[serde(default, deserialize_with = "null_as_default")]
    pub truncated: bool,
    /// Of the code; 0 where an agent does not say.
    #[serde(default, deserialize_with = "null_as_default")]
    pub function_version: u64,
    /// How long it waited for room.
    #[serde(default, deserialize_with = "null_as_default")]
    pub queued_ms: u64,
}

/// What an execution used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    /// User and system time of the whole tree.
    pub cpu_ms: u64,
    /// Peak resident memory.
    pub max_rss_mb: u64,
    /// Read from storage.
    pub io_read_bytes: u64,
    /// Written to storage.
    pub io_write_bytes: u64,
    /// The most that its working directory was found to hold; null when nobody looked.
    pub max_disk_bytes: Option<u64>,
}

impl Record {
    /// The record of an execution, with its merged output.
    pub(crate) fn new(executed: &Executed) -> Record {
        Record {
            output: Some(String::from_utf8_lossy(&executed.output.bytes).into_owned()),
            ..Record::without_output(&executed.record)
        }
    }

    /// As listings have it.
    pub(crate) fn without_output(record: &ExecutionRecord) -> Record {
        Record {
            execution_id: record.id.to_string(),
            agent_id: record.agent.to_string(),
            function_name: record.function.to_string(),
            status: record.status().as_str().to_owned(),
            output: None,
            error: record.error.clone(),
            duration_ms: millis(record.duration),
            started_at: record.started_at.to_rfc3339(),
            status_at: record.status_at.to_rfc3339(),
            exit_code: record.ending.and_then(Ending::exit_code),
            reason: record.ending.map(|ending| ending.reason().to_owned()),
            signal: record.ending.and_then(Ending::signal),
            usage: Usage {
                cpu_ms: millis(record.usage.cpu),
                max_rss_mb: Mib::rounded_up(record.usage.max_rss_bytes).0,
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
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
