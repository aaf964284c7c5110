//! Where a command's words go: data to stdout, the rest to stderr.
//!
//! Invariant: nothing that a server sent reaches a terminal with its control characters, except a
//! function's own output.

use std::io::{self, Write};

use serde_json::Value;

use super::error::CliError;
use super::table::Table;
use crate::base::causes::with_causes;

/// How a command shows its data.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    json: bool,
}

impl Printer {
    /// `json`: the API's JSON instead of tables.
    pub fn new(json: bool) -> Printer {
        Printer { json }
    }

    /// Whether JSON was asked for.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// The API's JSON, or what `table` makes of it.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub fn show(self, value: &Value, table: impl FnOnce(&Value) -> Table) -> Result<(), CliError> {
        if self.json {
            return self.json(value);
        }
        self.text(&table(value).to_string())
    }

    /// The API's JSON, or one line.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub fn show_line(self, value: &Value, line: &str) -> Result<(), CliError> {
        if self.json {
            return self.json(value);
        }
        self.text(&format!("{}\n", printable(line)))
    }

    /// One JSON value, indented, and a line break.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub fn json(self, value: &Value) -> Result<(), CliError> {
        let json = serde_json::to_string_pretty(value)
            .map_err(|error| CliError::stdout(io::Error::other(error)))?;
        self.text(&format!("{json}\n"))
    }

    /// Text to stdout, as it is.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub fn text(self, text: &str) -> Result<(), CliError> {
        raw(text.as_bytes())
    }
}

/// Bytes to stdout at once, as they are.
///
/// # Errors
/// Stdout cannot be written to.
pub fn raw(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(CliError::stdout)
}

/// Bytes to stderr, as they are. A stderr that nobody reads is no reason to stop.
pub fn raw_stderr(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

/// A remark for people, on stderr.
pub fn note(text: &str) {
    say("flux", text);
}

/// A failure and what to do about it, on stderr.
pub fn failure(error: &CliError) {
    note(&with_causes(error));
    say("hint", &error.hint());
}

/// A text on stderr, of which every line begins with who speaks. A text without lines says nothing.
pub fn say(speaker: &str, text: &str) {
    let lines = text
        .lines()
        .map(|line| format!("{speaker}: {}\n", printable(line)));
    raw_stderr(lines.collect::<String>().as_bytes());
}

/// Without characters that move a terminal's cursor or change its state.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
