//! What a failed test leaves to read: the console and the journal of every guest that it had, in files
//! outside the run's own file system, and their ends in the test's message.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::path::PathBuf;

/// Where logs go; default: `hosts-logs` in cargo's directory for tests.
const DIRECTORY: &str = "FLUX_HOSTS_LOGS";

/// Lines of each log that the message repeats.
const LINES: usize = 25;

thread_local! {
    /// The test that runs on this thread, and what its failure says beside its own words.
    static TEST: RefCell<(String, String)> = const { RefCell::new((String::new(), String::new())) };
}

/// From here on, this thread's logs are this test's.
pub fn begin(test: &str) {
    TEST.with_borrow_mut(|it| *it = (test.replace("::", "-"), String::new()));
}

/// Keeps a log of the failing test, and its end for the message.
pub fn keep(guest: &str, kind: &str, text: &str) {
    let test = TEST.with_borrow(|(test, _)| test.clone());
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
    TEST.with_borrow_mut(|(_, report)| {
        report.push_str(&format!("\n---- {guest}: {kind} ({place})\n{end}\n"));
    });
}

/// What was kept since [`begin`].
pub fn report() -> String {
    TEST.with_borrow_mut(|(_, report)| std::mem::take(report))
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
