//! From what was seen to how it ended, and how that is told to people.

use std::fmt::Write;

use nix::sys::signal::Signal;

use super::super::{Spec, StopReason};
use super::leader::Death;
use super::watch::Verdict;
use crate::model::execution::Ending;
use crate::model::isolation::SyscallIsolation;

/// `death` is `None` when the leader's status is not to be had.
pub(super) fn of(verdict: Verdict, death: Option<Death>, ran_out_of_memory: bool) -> Ending {
    match (verdict, death) {
        (Verdict::TimedOut, _) => Ending::TimedOut,
        (Verdict::Stopped(reason), _) => of_stop(reason),
        (Verdict::Ended, Some(Death::Signalled(libc::SIGKILL))) if ran_out_of_memory => {
            Ending::OutOfMemory
        }
        (Verdict::Ended, Some(Death::Exited(code))) => Ending::Exited(code),
        (Verdict::Ended, Some(Death::Signalled(signal))) => Ending::Signalled(signal),
        (Verdict::Ended, None) => Ending::Lost,
    }
}

/// When nothing else ended it before.
pub(super) fn of_stop(reason: StopReason) -> Ending {
    match reason {
        StopReason::Cancelled => Ending::Cancelled,
        StopReason::Shutdown => Ending::Lost,
    }
}

/// Empty when all is well.
pub(super) fn text(ending: Ending, verdict: Verdict, spec: &Spec) -> String {
    match ending {
        Ending::Exited(0) => String::new(),
        Ending::Exited(code) => format!("exited with code {code}"),
        Ending::Signalled(signal) => {
            let why = foreign_calls(signal, spec.syscalls);
            format!("killed by {}{why}", signal_name(signal))
        }
        Ending::TimedOut => match spec.limits.timeout {
            Some(timeout) => format!("timed out after {timeout:?}"),
            None => "timed out".to_owned(),
        },
        Ending::OutOfMemory => match spec.limits.memory {
            Some(limit) => format!("killed at its memory limit of {limit}"),
            None => "killed because the machine ran out of memory".to_owned(),
        },
        Ending::Cancelled => "cancelled".to_owned(),
        Ending::Lost => match verdict {
            Verdict::Stopped(_) => "the agent was shut down before it ended".to_owned(),
            Verdict::Ended | Verdict::TimedOut => {
                "its exit status was lost: something else in the agent waited for it".to_owned()
            }
        },
        Ending::SpawnFailed => "could not be started".to_owned(),
    }
}

/// The one thing for which the filter of system calls kills.
fn foreign_calls(signal: i32, syscalls: SyscallIsolation) -> &'static str {
    match syscalls {
        SyscallIsolation::Filtered if signal == libc::SIGSYS => {
            ": system calls of 32-bit programs are not let through, unless it runs with all of them"
        }
        SyscallIsolation::Filtered | SyscallIsolation::Open => "",
    }
}

/// Adds a second trouble to the text of the first.
pub(super) fn add(text: &mut String, more: &str) {
    let separator = if text.is_empty() { "" } else { "; " };
    // Writing to a String cannot fail.
    let _ = write!(text, "{separator}{more}");
}

fn signal_name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => format!("signal {number} ({})", signal.as_str()),
        // Real-time signals have no names.
        Err(_) => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_out_of_memory_only_when_the_cgroup_says_so() {
        let killed = Some(Death::Signalled(libc::SIGKILL));
        assert_eq!(of(Verdict::Ended, killed, true), Ending::OutOfMemory);
        assert_eq!(of(Verdict::Ended, killed, false), Ending::Signalled(9));
        let exited = Some(Death::Exited(1));
        assert_eq!(of(Verdict::Ended, exited, true), Ending::Exited(1));
        assert_eq!(of(Verdict::TimedOut, killed, true), Ending::TimedOut);
    }

    #[test]
    fn a_decided_end_stays_whatever_the_leader_did_then() {
        for death in [None, Some(Death::Exited(0)), Some(Death::Signalled(15))] {
            assert_eq!(of(Verdict::TimedOut, death, false), Ending::TimedOut);
            let cancelled = Verdict::Stopped(StopReason::Cancelled);
            assert_eq!(of(cancelled, death, false), Ending::Cancelled);
            let shutdown = Verdict::Stopped(StopReason::Shutdown);
            assert_eq!(of(shutdown, death, false), Ending::Lost);
        }
    }
}
