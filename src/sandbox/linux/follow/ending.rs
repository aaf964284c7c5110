//! From what was seen to how it ended, and how that is told to people.

use std::fmt::Write;

use nix::sys::signal::Signal;

use super::leader::Death;
use super::watch::Verdict;
use crate::model::execution::Ending;
use crate::model::isolation::SyscallIsolation;
use crate::sandbox::platform::disk::Excess;
use crate::sandbox::{Spec, StopReason};

/// What decided the end, once all is still. A program that has failed by itself while `over_disk` says that
/// it is over its disk limit has failed of that; asked with `true`, it also looks for a file at the
/// limit, where the kernel has ended the program for one. Who succeeded knew how to go on.
pub(in crate::sandbox) fn settle(
    verdict: Verdict,
    death: Option<Death>,
    ran_out_of_memory: bool,
    over_disk: impl FnOnce(bool) -> Option<Excess>,
) -> Verdict {
    let excess = match (verdict, death) {
        (Verdict::Ended, Some(Death::Signalled(libc::SIGKILL))) if ran_out_of_memory => None,
        (Verdict::Ended, Some(Death::Signalled(signal))) => over_disk(signal == libc::SIGXFSZ),
        (Verdict::Ended, Some(Death::Exited(0)) | None) => None,
        (Verdict::Ended, Some(Death::Exited(_))) => over_disk(false),
        (Verdict::TimedOut | Verdict::Stopped(_) | Verdict::OutOfDisk(_), _) => None,
    };
    excess.map_or(verdict, Verdict::OutOfDisk)
}

/// `death` is `None` when the leader's status is not to be had.
pub(in crate::sandbox) fn of(
    verdict: Verdict,
    death: Option<Death>,
    ran_out_of_memory: bool,
) -> Ending {
    match (verdict, death) {
        (Verdict::TimedOut, _) => Ending::TimedOut,
        (Verdict::Stopped(reason), _) => of_stop(reason),
        (Verdict::OutOfDisk(_), _) => Ending::OutOfDisk,
        (Verdict::Ended, Some(Death::Signalled(libc::SIGKILL))) if ran_out_of_memory => {
            Ending::OutOfMemory
        }
        (Verdict::Ended, Some(Death::Exited(code))) => Ending::Exited(code),
        (Verdict::Ended, Some(Death::Signalled(signal))) => Ending::Signalled(signal),
        (Verdict::Ended, None) => Ending::Lost,
    }
}

/// When nothing else ended it before.
pub(in crate::sandbox) fn of_stop(reason: StopReason) -> Ending {
    match reason {
        StopReason::Cancelled => Ending::Cancelled,
        StopReason::Shutdown => Ending::Lost,
    }
}

/// Empty when all is well.
pub(in crate::sandbox) fn text(ending: Ending, verdict: Verdict, spec: &Spec) -> String {
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
        Ending::OutOfDisk => match verdict {
            Verdict::OutOfDisk(excess) => excess.to_string(),
            Verdict::Ended | Verdict::TimedOut | Verdict::Stopped(_) => {
                "held more than its disk limit".to_owned()
            }
        },
        Ending::Cancelled => "cancelled".to_owned(),
        Ending::Lost => match verdict {
            Verdict::Stopped(_) => "the agent was shut down before it ended".to_owned(),
            Verdict::Ended | Verdict::TimedOut | Verdict::OutOfDisk(_) => {
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
pub(in crate::sandbox) fn add(text: &mut String, more: &str) {
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
    fn a_failure_over_the_disk_limit_is_of_it_and_a_success_stays_one() {
        let excess = Excess::Entries { made: 2, limit: 1 };
        let settled = |verdict, death, ran_out_of_memory| {
            settle(verdict, death, ran_out_of_memory, |_| Some(excess))
        };
        let (killed, failed) = (Death::Signalled(libc::SIGKILL), Death::Exited(1));
        for death in [killed, failed] {
            let settled = settled(Verdict::Ended, Some(death), false);
            assert_eq!(settled, Verdict::OutOfDisk(excess));
        }
        let success = settled(Verdict::Ended, Some(Death::Exited(0)), false);
        assert_eq!(success, Verdict::Ended);
        let of_memory = settled(Verdict::Ended, Some(killed), true);
        assert_eq!(of_memory, Verdict::Ended);
        assert_eq!(
            settled(Verdict::TimedOut, Some(failed), false),
            Verdict::TimedOut
        );
        let only_for_a_file = |signal| {
            let death = Some(Death::Signalled(signal));
            settle(Verdict::Ended, death, false, |was_at_file_limit| {
                was_at_file_limit.then_some(excess)
            })
        };
        assert_eq!(only_for_a_file(libc::SIGTERM), Verdict::Ended);
        let of_disk = only_for_a_file(libc::SIGXFSZ);
        assert_eq!(of_disk, Verdict::OutOfDisk(excess));
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
