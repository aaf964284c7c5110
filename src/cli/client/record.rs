//! What the record of an execution means to a shell and to people.

use serde_json::Value;

use crate::cli::exit_code::ExitCode;
use crate::cli::table::{Table, cell};
use crate::model::execution::Ending;

/// The exit code of `exec` for a final record.
pub fn exit_code(record: &Value) -> ExitCode {
    match ending(record) {
        Some(Ending::Exited(code)) => ExitCode::Function(code.to_le_bytes()[0]),
        Some(Ending::Signalled(signal)) => {
            ExitCode::Signal(u8::try_from(signal).unwrap_or(u8::MAX))
        }
        Some(Ending::TimedOut) => ExitCode::TimedOut,
        Some(Ending::OutOfMemory) => ExitCode::OUT_OF_MEMORY,
        Some(Ending::OutOfDisk) => ExitCode::OUT_OF_DISK,
        Some(Ending::Cancelled) => ExitCode::CANCELLED,
        Some(Ending::Lost) => ExitCode::FluxFailed,
        Some(Ending::SpawnFailed) => ExitCode::NotStarted,
        // An agent of another implementation says no reason; the status is what there is.
        None if record["status"] == "success" => ExitCode::Ok,
        None => ExitCode::Failure,
    }
}

/// What a person should know about the end beyond the function's own output; empty when nothing.
pub fn remark(record: &Value) -> String {
    let what = match ending(record) {
        Some(Ending::Exited(_)) => return String::new(),
        Some(Ending::Signalled(signal)) => format!("the function was ended by signal {signal}"),
        Some(Ending::TimedOut) => "the function ran into its timeout".to_owned(),
        Some(Ending::OutOfMemory) => "the function ran out of its memory".to_owned(),
        Some(Ending::OutOfDisk) => "the function ran out of its disk space".to_owned(),
        Some(Ending::Cancelled) => "cancelled".to_owned(),
        Some(Ending::Lost) => "the agent was lost while the function ran".to_owned(),
        Some(Ending::SpawnFailed) => "the function could not be started".to_owned(),
        None => cell(record, "status"),
    };
    match record["error"].as_str() {
        Some(error) if !error.is_empty() => format!("{what}: {error}"),
        Some(_) | None => what,
    }
}

/// Records as rows.
pub fn table(records: &Value) -> Table {
    Table::of(
        records,
        &[
            ("EXECUTION", "execution_id"),
            ("FUNCTION", "function_name"),
            ("STATUS", "status"),
            ("REASON", "reason"),
            ("EXIT", "exit_code"),
            ("AGENT", "agent_id"),
            ("STARTED", "started_at"),
            ("MS", "duration_ms"),
        ],
    )
}

fn ending(record: &Value) -> Option<Ending> {
    let number = |key: &str| record[key].as_i64().and_then(|n| i32::try_from(n).ok());
    Ending::from_parts(
        record["reason"].as_str()?,
        number("exit_code"),
        number("signal"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_ending_has_its_code() {
        for (record, number) in [
            (json!({"reason": "exited", "exit_code": 0}), 0),
            (json!({"reason": "exited", "exit_code": 42}), 42),
            (json!({"reason": "signalled", "signal": 15}), 143),
            (json!({"reason": "timed_out"}), 124),
            (json!({"reason": "out_of_memory"}), 137),
            (json!({"reason": "out_of_disk"}), 137),
            (json!({"reason": "cancelled"}), 130),
            (json!({"reason": "lost"}), 125),
            (json!({"reason": "spawn_failed"}), 126),
            (json!({"status": "success"}), 0),
            (json!({"status": "failed"}), 1),
            (json!({}), 1),
        ] {
            assert_eq!(exit_code(&record).number(), number, "{record}");
        }
    }
}
