//! How an execution ended, from the words of an agent, which may be older or newer than this program.

use super::error::WireError;
use crate::model::execution::{Ending, Status};

/// `exit_code` of a run of which its agent says only that it failed.
pub const UNKNOWN_EXIT_CODE: i32 = -1;

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
