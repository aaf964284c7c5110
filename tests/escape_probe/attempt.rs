//! One attempt: its name, how it is made, what came of it.
//!
//! Invariants: each attempt is made by a child of its own, which may be killed (a system call
//! filter does that), may hang, and takes its changes to itself with it; nothing but a result that was
//! seen counts as denied.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use crate::system::fork;

/// One attempt may take as long; the longest measures processor time for some seconds.
const DEADLINE: Duration = Duration::from_secs(30);

/// What came of an attempt.
#[derive(Debug)]
pub enum Finding {
    /// It did not get what it wanted, and how that was prevented.
    Denied(String),
    /// What it got.
    Escaped(String),
    /// It was not made.
    Skipped(String),
    /// Nothing can be said, which is as bad as an escape.
    Unclear(String),
}

/// See the module's text.
pub struct Attempt {
    pub name: String,
    make: Box<dyn Fn() -> Finding>,
}

impl Attempt {
    pub fn new(name: impl Into<String>, make: impl Fn() -> Finding + 'static) -> Attempt {
        Attempt {
            name: name.into(),
            make: Box::new(make),
        }
    }
}

impl Finding {
    /// Success is an escape, any error a denial.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what a call gave back, with nothing else to be used for"
    )]
    pub fn of<T>(result: nix::Result<T>, got: &str) -> Finding {
        match result {
            Ok(_) => Finding::Escaped(got.to_owned()),
            Err(errno) => Finding::denied(errno),
        }
    }

    /// The same for calls that were made with senseless arguments, to do no harm: `errors` are what the
    /// kernel answers to those who may make the call.
    pub fn of_senseless(result: nix::Result<usize>, errors: &[Errno], got: &str) -> Finding {
        match result {
            Err(errno) if errors.contains(&errno) => {
                Finding::Escaped(format!("{got} ({errno} is what those hear who may)"))
            }
            result => Finding::of(result, got),
        }
    }

    pub fn of_io<T>(result: std::io::Result<T>, got: &str) -> Finding {
        match result {
            Ok(_) => Finding::Escaped(got.to_owned()),
            Err(error) => Finding::Denied(error.to_string()),
        }
    }

    /// What has to hold, else `got`.
    pub fn holds(holds: bool, how: impl Into<String>, got: impl Into<String>) -> Finding {
        if holds {
            Finding::Denied(how.into())
        } else {
            Finding::Escaped(got.into())
        }
    }

    pub fn denied(errno: Errno) -> Finding {
        Finding::Denied(format!("{errno:?}"))
    }

    /// Something it has to be told was not.
    pub fn not_told(what: &str) -> Finding {
        Finding::Skipped(format!("was not told {what}"))
    }

    pub fn is_failure(&self) -> bool {
        matches!(self, Finding::Escaped(_) | Finding::Unclear(_))
    }

    pub fn line(&self, name: &str) -> String {
        let (word, text) = match self {
            Finding::Denied(text) => ("denied", text),
            Finding::Escaped(text) => ("ESCAPED", text),
            Finding::Skipped(text) => ("skipped", text),
            Finding::Unclear(text) => ("unclear", text),
        };
        format!("{word} {name}: {}", text.replace('\n', " "))
    }

    fn encode(&self) -> Vec<u8> {
        self.line("").into_bytes()
    }

    fn decode(line: &str) -> Option<Finding> {
        let (word, text) = line.split_once(" : ")?;
        let text = text.to_owned();
        match word {
            "denied" => Some(Finding::Denied(text)),
            "ESCAPED" => Some(Finding::Escaped(text)),
            "skipped" => Some(Finding::Skipped(text)),
            "unclear" => Some(Finding::Unclear(text)),
            _ => None,
        }
    }
}

/// The first that is no denial, else all of them together.
pub fn worst(findings: impl IntoIterator<Item = (String, Finding)>) -> Finding {
    let mut ways = Vec::new();
    for (name, finding) in findings {
        match finding {
            Finding::Denied(how) => ways.push(format!("{name} {how}")),
            Finding::Skipped(why) => ways.push(format!("{name} left out, {why}")),
            Finding::Escaped(got) => return Finding::Escaped(format!("{name}: {got}")),
            Finding::Unclear(why) => return Finding::Unclear(format!("{name}: {why}")),
        }
    }
    if ways.is_empty() {
        return Finding::Unclear("there was nothing to try".to_owned());
    }
    Finding::Denied(ways.join(", "))
}

/// Makes it, in a child.
pub fn run(attempt: &Attempt) -> Finding {
    let (ours, theirs) = match UnixStream::pair() {
        Ok(pair) => pair,
        Err(error) => return Finding::Unclear(format!("no socket to hear by: {error}")),
    };
    match fork() {
        Ok(ForkResult::Child) => {
            drop(ours);
            let mut theirs = theirs;
            let finding = (attempt.make)();
            let told = theirs.write_all(&finding.encode());
            crate::system::exit_now(i32::from(told.is_err()))
        }
        Ok(ForkResult::Parent { child }) => {
            drop(theirs);
            // Cannot fail: the time is not zero.
            let _ = ours.set_read_timeout(Some(DEADLINE));
            let mut told = Vec::new();
            let read = (&ours).take(1 << 16).read_to_end(&mut told);
            // Heard or not, it has had its time.
            let _ = kill(child, Signal::SIGKILL);
            let end = waitpid(child, None);
            conclude(&String::from_utf8_lossy(&told), read.is_err(), end)
        }
        Err(errno) => Finding::Unclear(format!("no child to try it: {errno}")),
    }
}

fn conclude(told: &str, is_late: bool, end: nix::Result<WaitStatus>) -> Finding {
    if let Some(finding) = Finding::decode(told) {
        return finding;
    }
    match end {
        Ok(WaitStatus::Signaled(_, Signal::SIGSYS, _)) => {
            Finding::Denied("killed by the system call filter".to_owned())
        }
        _ if is_late => Finding::Unclear(format!("no end within {DEADLINE:?}")),
        end => Finding::Unclear(format!("ended without a word: {end:?}")),
    }
}

/// Whether `pid` could be sent signals by this process.
pub fn may_signal(pid: i32) -> Finding {
    Finding::of(kill(Pid::from_raw(pid), None), &format!("may signal {pid}"))
}
