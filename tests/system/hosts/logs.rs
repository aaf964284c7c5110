//! What a failed test leaves to read: the console and the journal of every guest that it had, in files
//! outside the run's own file system, and their ends in the test's message.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::thread;

use crate::harness::notes;

/// Where logs go; default: `hosts-logs` in cargo's directory for tests.
const DIRECTORY: &str = "FLUX_HOSTS_LOGS";

/// Lines of each log that the message repeats.
const LINES: usize = 25;

/// Keeps a log of the failing test, after which this thread is called, and its end for the message.
pub fn keep(guest: &str, kind: &str, text: &str) {
    let current = thread::current();
    let test = current.name().unwrap_or("nameless").replace("::", "-");
    let path = directory().join(test).join(format!("{guest}-{kind}.log"));
    let kept = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| write(&path, text));
    let place = match kept {
        Ok(()) => path.display().to_string(),
        Err(error) => format!("not kept: {error}"),
    };
    let end = tail(text, LINES);
    notes::add(&format!("\n---- {guest}: {kind} ({place})\n{end}"));
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn directory() -> PathBuf {
    env::var_os(DIRECTORY).map_or_else(
        || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hosts-logs"),
        PathBuf::from,
    )
}

#[expect(clippy::disallowed_methods, reason = "a log may be half written")]
fn write(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    fs::write(path, text)
}
