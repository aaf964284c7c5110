//! A program of this machine, run to its end: with a deadline, and its output as text.
//!
//! Output goes to unnamed files rather than pipes, so that neither a program that writes much nor one that
//! leaves a child behind with its output open can hang a test.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use std::os::unix::process::ExitStatusExt;

/// For a program that takes a moment; longer than any honest delay of a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How a program ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; 128 + the signal's number where a signal ended it, as a shell says it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Not ended in time; what it had said until then.
#[derive(Debug)]
pub struct Overdue {
    pub stdout: String,
    pub stderr: String,
}

/// Runs it without input; panics where it cannot start or takes longer than [`PATIENCE`].
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    match run_within(command.stdin(Stdio::null()), PATIENCE) {
        Ok(ran) => ran,
        Err(overdue) => panic!("{command:?} took longer than {PATIENCE:?}: {overdue:?}"),
    }
}

/// Runs it, and panics with what it said where it fails.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let ran = run(command);
    assert!(ran.status == 0, "{command:?} failed: {ran:?}");
    ran.stdout
}

/// Runs it with the input that it has been given; kills it at the deadline.
#[track_caller]
pub fn run_within(command: &mut Command, limit: Duration) -> Result<Ran, Overdue> {
    let (stdout, stderr) = (unnamed_file(), unnamed_file());
    let mut child = command
        .stdout(stdout.try_clone().expect("another descriptor"))
        .stderr(stderr.try_clone().expect("another descriptor"))
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} cannot start: {error}"));
    let ended = wait(&mut child, limit);
    if ended.is_none() {
        // It may have ended by itself meanwhile.
        let _ = child.kill();
        let _ = child.wait();
    }
    let (stdout, stderr) = (text(stdout), text(stderr));
    match ended {
        Some(status) => Ok(Ran {
            status: code(status),
            stdout,
            stderr,
        }),
        None => Err(Overdue { stdout, stderr }),
    }
}

/// How the child ended, or nothing where it has not within the limit.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause(Duration::from_millis(2));
    }
}

/// Asks until there is an answer; panics after [`PATIENCE`].
#[track_caller]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        pause(Duration::from_millis(20));
    }
}

/// Between two questions about the same condition.
#[expect(clippy::disallowed_methods, reason = "a test has no token to wait on")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A program of this machine.
#[expect(clippy::disallowed_methods, reason = "tests start real programs")]
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

fn unnamed_file() -> File {
    tempfile::tempfile().expect("a temporary file")
}

fn text(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("a file that seeks");
    file.read_to_end(&mut bytes).expect("what was written");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .expect("a status has either")
}
