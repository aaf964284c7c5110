//! What functions, agents and executions look like on disk: JSON with a version, apart from the
//! domain types.
//!
//! Compatibility, from the first release on: a field that is added has a default; a change of
//! meaning is a new variant, and the old one stays readable. What an older program cannot read it
//! refuses, never guesses. States are words, because an enum's position would change its meaning
//! when one is added.

pub mod agent;
pub mod config;
pub mod record;

use std::error::Error;
use std::time::Duration;

use serde::Serialize;

use crate::base::causes::with_causes;

fn encode(value: &impl Serialize) -> String {
    // Texts, numbers and maps with text keys have a JSON form without exception.
    serde_json::to_string(value).expect("stored forms are serialisable")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn text_of(error: impl Error) -> String {
    with_causes(&error)
}
