//! The record of an execution as it is stored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::json::{self, millis, text_of};
use crate::base::clock::Timestamp;
use crate::model::execution::{Ending, ExecutionRecord, Usage};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};

#[derive(Serialize, Deserialize)]
#[serde(tag = "format")]
enum StoredRecord {
    #[serde(rename = "1")]
    V1(RecordV1),
}

#[derive(Serialize, Deserialize)]
struct RecordV1 {
    id: String,
    agent: String,
    function: String,
    function_version: u64,
    ending: Option<EndingV1>,
    error: String,
    started_at_ms: i64,
    status_at_ms: i64,
    duration_ms: u64,
    queued_ms: u64,
    stdout_bytes: u64,
    stderr_bytes: u64,
    truncated: bool,
    usage: UsageV1,
}

/// The reason, and the number that some reasons have.
#[derive(Serialize, Deserialize)]
struct EndingV1 {
    reason: String,
    exit_code: Option<i32>,
    signal: Option<i32>,
}

#[derive(Serialize, Deserialize)]
struct UsageV1 {
    cpu_us: u64,
    max_rss_bytes: u64,
    io_read_bytes: u64,
    io_write_bytes: u64,
    max_disk_bytes: Option<u64>,
}

pub(crate) fn encode(record: &ExecutionRecord) -> String {
    json::encode(&StoredRecord::V1(RecordV1 {
        id: record.id.as_str().to_owned(),
        agent: record.agent.as_str().to_owned(),
        function: record.function.as_str().to_owned(),
        function_version: record.function_version,
        ending: record.ending.map(|ending| EndingV1 {
            reason: ending.reason().to_owned(),
            exit_code: ending.exit_code(),
            signal: ending.signal(),
        }),
        error: record.error.clone(),
        started_at_ms: record.started_at.as_millis(),
        status_at_ms: record.status_at.as_millis(),
        duration_ms: millis(record.duration),
        queued_ms: millis(record.queued),
        stdout_bytes: record.stdout_bytes,
        stderr_bytes: record.stderr_bytes,
        truncated: record.truncated,
        usage: UsageV1 {
            cpu_us: micros(record.usage.cpu),
            max_rss_bytes: record.usage.max_rss_bytes,
            io_read_bytes: record.usage.io_read_bytes,
            io_write_bytes: record.usage.io_write_bytes,
            max_disk_bytes: record.usage.max_disk_bytes,
        },
    }))
}

/// # Errors
/// What makes the text no record.
pub(crate) fn decode(text: &str) -> Result<ExecutionRecord, String> {
    let StoredRecord::V1(stored) = serde_json::from_str(text).map_err(text_of)?;
    let ending = stored.ending.map(|ending| {
        Ending::from_parts(&ending.reason, ending.exit_code, ending.signal)
            .ok_or_else(|| format!("nothing ends as {:?}", ending.reason))
    });
    Ok(ExecutionRecord {
        id: ExecutionId::new(&stored.id).map_err(text_of)?,
        agent: AgentId::new(&stored.agent).map_err(text_of)?,
        function: FunctionName::new(&stored.function).map_err(text_of)?,
        function_version: stored.function_version,
        ending: ending.transpose()?,
        error: stored.error,
        started_at: Timestamp::from_millis(stored.started_at_ms),
        status_at: Timestamp::from_millis(stored.status_at_ms),
        duration: Duration::from_millis(stored.duration_ms),
        queued: Duration::from_millis(stored.queued_ms),
        stdout_bytes: stored.stdout_bytes,
        stderr_bytes: stored.stderr_bytes,
        truncated: stored.truncated,
        usage: Usage {
            cpu: Duration::from_micros(stored.usage.cpu_us),
            max_rss_bytes: stored.usage.max_rss_bytes,
            io_read_bytes: stored.usage.io_read_bytes,
            io_write_bytes: stored.usage.io_write_bytes,
            max_disk_bytes: stored.usage.max_disk_bytes,
        },
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand: what the first released program has stored must stay readable.
    const RECORD: &str = r#"{"format":"1","id":"e1","agent":"a1","function":"f","function_version":3,"ending":{"reason":"signalled","exit_code":null,"signal":9},"error":"killed","started_at_ms":1000,"status_at_ms":2000,"duration_ms":900,"queued_ms":100,"stdout_bytes":1,"stderr_bytes":2,"truncated":true,"usage":{"cpu_us":1500,"max_rss_bytes":4,"io_read_bytes":5,"io_write_bytes":6,"max_disk_bytes":null}}"#;

    #[test]
    fn the_first_format_reads_back_and_is_written_alike() {
        let record = decode(RECORD).expect("record");
        assert_eq!(record.ending, Some(Ending::Signalled(9)));
        assert_eq!(record.usage.cpu, Duration::from_micros(1500));
        assert_eq!(record.usage.max_disk_bytes, None);
        assert_eq!(encode(&record), RECORD);
    }

    #[test]
    fn an_unknown_format_or_ending_is_refused() {
        for (text, complaint) in [
            (
                RECORD.replace(r#""format":"1""#, r#""format":"2""#),
                "variant",
            ),
            (RECORD.replace("signalled", "bored"), "bored"),
            (RECORD.replace(r#""signal":9"#, r#""signal":null"#), "ends"),
            (RECORD.replace("e1", "../e"), "execution id"),
        ] {
            let error = decode(&text).expect_err(&text);
            assert!(error.contains(complaint), "{error}");
        }
    }
}
