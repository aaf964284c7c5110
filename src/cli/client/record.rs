//! What the record of an execution means to shells and to people.

use crate::cli::exit_code::ExitCode;
use crate::cli::table::{Cell, Table};
use crate::contract::record::Record;
use crate::model::execution::Ending;

/// What `exec` ends with after a final record.
pub(crate) fn exit_code(record: &Record) -> ExitCode {
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
        // A legacy agent gives no reason, and a newer one may give an unknown one: the status counts.
        None if record.status == "success" => ExitCode::Ok,
        None => ExitCode::Failure,
    }
}

/// What a person should know about the end that the function's own output does not say; can be empty.
pub(crate) fn remark(record: &Record) -> String {
    let what = match ending(record) {
        Some(Ending::Exited(_)) => return String::new(),
        Some(Ending::Signalled(signal)) => format!("the function was ended by signal {signal}"),
        Some(Ending::TimedOut) => "the function ran into its timeout".to_owned(),
        Some(Ending::OutOfMemory) => "the function ran out of its memory".to_owned(),
        Some(Ending::OutOfDisk) => "the function ran out of its disk space".to_owned(),
        Some(Ending::Cancelled) => "cancelled".to_owned(),
        Some(Ending::Lost) => "the agent was lost while the function ran".to_owned(),
        Some(Ending::SpawnFailed) => "the function could not be started".to_owned(),
        None => record.status.cell(),
    };
    if record.error.is_empty() {
        return what;
    }
    format!("{what}: {}", record.error)
}

pub(crate) fn table(records: &[Record]) -> Table {
    Table::of(
        records,
        &[
            ("EXECUTION", |record| record.execution_id.cell()),
            ("FUNCTION", |record| record.function_name.cell()),
            ("STATUS", |record| record.status.cell()),
            ("REASON", |record| record.reason.cell()),
            ("EXIT", |record| record.exit_code.cell()),
            ("AGENT", |record| record.agent_id.cell()),
            ("STARTED", |record| record.started_at.cell()),
            ("MS", |record| record.duration_ms.cell()),
        ],
    )
}

fn ending(record: &Record) -> Option<Ending> {
    Ending::from_parts(record.reason.as_deref()?, record.exit_code, record.signal)
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
            (json!({"reason": "invented_later"}), 1),
            (json!({"status": "success"}), 0),
            (json!({}), 1),
        ] {
            let mut whole = json!({"execution_id": "e1", "status": "failed"});
            let parts = record.as_object().expect("an object").clone();
            whole.as_object_mut().expect("an object").extend(parts);
            let read: Record = serde_json::from_value(whole).expect("a record");
            assert_eq!(exit_code(&read).number(), number, "{record}");
        }
    }
}
