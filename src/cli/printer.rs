//! Where a command's words go: data to stdout, the rest to stderr.
//!
//! Invariant: nothing that a server sent reaches a terminal with its control characters, except a
//! function's own output.

use std::io::{self, Write};

use anyhow::Context as _;
use serde::Serialize;

use super::error::CliError;
use super::table::Table;
use crate::base::causes::with_causes;

/// How a command shows its data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
}

impl Printer {
    /// `json`: the API's JSON, in place of tables and lines.
    pub(crate) fn new(json: bool) -> Printer {
        Printer { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// The answer as JSON, or as the table that `table` makes of it.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub(crate) fn show<T: Serialize>(
        self,
        answer: &T,
        table: impl FnOnce(&T) -> Table,
    ) -> Result<(), CliError> {
        if self.json {
            return json(answer);
        }
        raw(table(answer).to_string().as_bytes())
    }

    /// The answer as JSON, or one line in place of it.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub(crate) fn show_line(self, answer: &impl Serialize, line: &str) -> Result<(), CliError> {
        if self.json {
            return json(answer);
        }
        raw(format!("{}\n", printable(line)).as_bytes())
    }
}

/// JSON to stdout, indented. A document's keys come in alphabetical order; what a command puts
/// together itself declares its fields in that order, too.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn json(answer: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(answer).context("cannot encode the answer")?;
    raw(format!("{text}\n").as_bytes())
}

/// JSON to stdout, on a line of its own.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn json_line(event: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string(event).context("cannot encode the event")?;
    raw(format!("{text}\n").as_bytes())
}

/// Bytes to stdout at once, as they are.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(CliError::stdout)
}

/// Bytes to stderr, as they are. A stderr that nobody reads is no reason to stop.
pub(crate) fn raw_stderr(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

/// A remark for people, on stderr.
pub(crate) fn note(text: &str) {
    say("flux", text);
}

/// A failure and what to do about it, on stderr.
pub(crate) fn failure(error: &CliError) {
    note(&with_causes(error));
    say("hint", &error.hint());
}

/// A text on stderr, of which every line begins with who speaks. A text without lines says nothing.
pub(crate) fn say(speaker: &str, text: &str) {
    let lines = text
        .lines()
        .map(|line| format!("{speaker}: {}\n", printable(line)));
    raw_stderr(lines.collect::<String>().as_bytes());
}

/// Without characters that move a terminal's cursor or change its state.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
