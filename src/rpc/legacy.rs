//! The texts in which the legacy implementation speaks, both ways: the only place where a text
//! decides anything.

use std::time::Duration;

use super::error::RpcError;
use super::status::Refusal;
use crate::base::clock::Timestamp;
use crate::model::execution::{Ending, Executed, ExecutionRecord};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::model::output::Output;
use crate::wire::ending::UNKNOWN_EXIT_CODE;
use crate::wire::error::ErrorKind;
use crate::wire::proto;

const AT_CAPACITY: &str = "at capacity";
const FUNCTION_NOT_FOUND: &str = "function not found";

/// What was asked of a legacy agent, for the record that it does not send.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Who was asked.
    pub agent: AgentId,
    /// To run what.
    pub function: FunctionName,
    /// Under which id.
    pub id: ExecutionId,
    /// Whether the answer is about the acceptance alone.
    pub asynchronous: bool,
    /// When.
    pub at: Timestamp,
    /// In the control plane's queue.
    pub queued: Duration,
}

/// The answer of a legacy agent, which is one without a record.
///
/// # Errors
/// [`RpcError::Refused`] when its text says so. Only without any output: a function that failed
/// may have said anything.
pub(crate) fn executed(
    asked: &Asked,
    response: proto::ExecutionResponse,
) -> Result<Executed, RpcError> {
    if let Some(kind) = refusal_kind(&response) {
        return Err(RpcError::Refused(Refusal {
            kind,
            subject: asked.function.to_string(),
            message: response.error,
        }));
    }
    if asked.asynchronous && !response.error.is_empty() {
        return Err(RpcError::Rejected {
            message: response.error,
        });
    }
    let ending = match (asked.asynchronous, response.error.is_empty()) {
        (true, _) => None,
        (false, true) => Some(Ending::Exited(0)),
        (false, false) => Some(Ending::Exited(UNKNOWN_EXIT_CODE)),
    };
    let duration = Duration::from_millis(u64::try_from(response.duration_ms).unwrap_or(0));
    let accepted = ExecutionRecord::accepted(
        asked.id.clone(),
        asked.agent.clone(),
        asked.function.clone(),
        0,
        asked.at,
    );
    let record = ExecutionRecord {
        ending,
        error: response.error,
        status_at: asked.at.after(duration),
        duration,
        queued: asked.queued,
        stdout_bytes: response.output.len() as u64,
        ..accepted
    };
    Ok(Executed {
        record,
        output: Output::of_stdout(response.output),
    })
}

/// An answer for a legacy control plane: what failed has a text in `error`.
pub(crate) fn response(executed: Executed) -> proto::ExecutionResponse {
    let error = failure_text(&executed.record);
    proto::ExecutionResponse {
        output: executed.output.bytes,
        error,
        duration_ms: i64::try_from(executed.record.duration.as_millis()).unwrap_or(i64::MAX),
        ..Default::default()
    }
}

/// A refusal for a legacy control plane.
pub(crate) fn refused(refusal: &Refusal) -> proto::ExecutionResponse {
    let Refusal {
        kind,
        subject,
        message,
    } = refusal;
    let error = match kind {
        ErrorKind::FunctionAtCapacity
        | ErrorKind::AgentAtCapacity
        | ErrorKind::Draining
        | ErrorKind::Busy => format!("{message} ({AT_CAPACITY})"),
        ErrorKind::FunctionNotFound | ErrorKind::FunctionNotDeployed => {
            format!("{FUNCTION_NOT_FOUND}: {subject}")
        }
        ErrorKind::FunctionOutOfDate
        | ErrorKind::ExecutionNotFound
        | ErrorKind::ExecutionExists
        | ErrorKind::Invalid
        | ErrorKind::ArchiveRefused
        | ErrorKind::Storage
        | ErrorKind::NoUserLeft
        | ErrorKind::NotAuthorised => message.clone(),
    };
    proto::ExecutionResponse {
        error,
        ..Default::default()
    }
}

fn refusal_kind(response: &proto::ExecutionResponse) -> Option<ErrorKind> {
    if !response.output.is_empty() {
        return None;
    }
    if response.error.contains(AT_CAPACITY) {
        Some(ErrorKind::FunctionAtCapacity)
    } else if response.error.contains(FUNCTION_NOT_FOUND) {
        Some(ErrorKind::FunctionNotFound)
    } else {
        None
    }
}

fn failure_text(record: &ExecutionRecord) -> String {
    let own = match record.ending {
        None | Some(Ending::Exited(0)) => return String::new(),
        Some(Ending::Exited(code)) => format!("exit code {code}"),
        Some(Ending::Signalled(signal)) => format!("ended by signal {signal}"),
        Some(Ending::TimedOut) => "timed out".to_owned(),
        Some(Ending::OutOfMemory) => "out of memory".to_owned(),
        Some(Ending::OutOfDisk) => "out of disk".to_owned(),
        Some(Ending::Cancelled) => "cancelled".to_owned(),
        Some(Ending::Lost) => "lost".to_owned(),
        Some(Ending::SpawnFailed) => "the process could not be started".to_owned(),
    };
    if record.error.is_empty() {
        own
    } else {
        record.error.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(asynchronous: bool) -> Asked {
        Asked {
            agent: AgentId::new("a").expect("id"),
            function: FunctionName::new("f").expect("name"),
            id: ExecutionId::new("e").expect("id"),
            asynchronous,
            at: Timestamp::from_millis(1_000),
            queued: Duration::ZERO,
        }
    }

    fn answer(output: &[u8], error: &str) -> proto::ExecutionResponse {
        proto::ExecutionResponse {
            output: output.to_owned(),
            error: error.to_owned(),
            duration_ms: 5,
            ..Default::default()
        }
    }

    fn kind(result: Result<Executed, RpcError>) -> Option<ErrorKind> {
        result.err()?.refusal().map(|refusal| refusal.kind)
    }

    #[test]
    fn the_two_documented_texts_are_refusals() {
        for (text, expected) in [
            (
                "function f is at capacity (5/5)",
                ErrorKind::FunctionAtCapacity,
            ),
            ("function not found: f", ErrorKind::FunctionNotFound),
        ] {
            for asynchronous in [false, true] {
                let result = executed(&asked(asynchronous), answer(b"", text));
                assert_eq!(kind(result), Some(expected), "{text}");
            }
        }
    }

    #[test]
    fn a_run_that_printed_something_is_never_taken_for_a_refusal() {
        let result = executed(&asked(false), answer(b"x", "disk at capacity")).expect("ran");
        assert_eq!(
            result.record.ending,
            Some(Ending::Exited(UNKNOWN_EXIT_CODE))
        );
        assert_eq!(result.record.error, "disk at capacity");
    }

    #[test]
    fn success_and_acceptance_are_told_apart_by_what_was_asked() {
        let ran = executed(&asked(false), answer(b"x", "")).expect("ran");
        assert_eq!(ran.record.ending, Some(Ending::Exited(0)));
        assert_eq!(ran.record.status_at, Timestamp::from_millis(1_005));
        let accepted = executed(&asked(true), answer(b"", "")).expect("accepted");
        assert_eq!(accepted.record.ending, None);
        let refused = executed(&asked(true), answer(b"", "disk full"));
        assert!(matches!(refused, Err(RpcError::Rejected { .. })));
    }

    #[test]
    fn a_legacy_control_plane_reads_refusals_and_failures_as_texts() {
        let refusal = |kind| Refusal {
            kind,
            subject: "f".into(),
            message: "no room".into(),
        };
        for &kind in ErrorKind::ALL {
            assert!(!refused(&refusal(kind)).error.is_empty(), "{kind:?}");
        }
        for (kind, text) in [
            (ErrorKind::FunctionAtCapacity, AT_CAPACITY),
            (ErrorKind::AgentAtCapacity, AT_CAPACITY),
            (ErrorKind::FunctionNotFound, "function not found: f"),
        ] {
            assert!(refused(&refusal(kind)).error.contains(text), "{kind:?}");
        }
        let mut ran = executed(&asked(false), answer(b"x", "")).expect("ran");
        assert_eq!(response(ran.clone()).error, "");
        ran.record.ending = Some(Ending::Exited(3));
        assert_eq!(response(ran.clone()).error, "exit code 3");
        ran.record.error = "because".into();
        assert_eq!(response(ran).error, "because");
    }
}
