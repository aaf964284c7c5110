//! JSON as the stored forms have it: how a form becomes text, and what stands for a duration in it.

use std::error::Error;
use std::time::Duration;

use serde::Serialize;

use crate::base::causes::with_causes;

pub(super) fn encode(value: &impl Serialize) -> String {
    // Texts, numbers and maps with text keys have a JSON form without exception.
    serde_json::to_string(value).expect("stored forms are serialisable")
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn text_of(error: impl Error) -> String {
    with_causes(&error)
}
