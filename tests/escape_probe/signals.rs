//! Signals to others. Signal 0 asks for the right without the harm; [`rampage`] does the harm.

use std::process::ExitCode;

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;

use crate::attempt::{Attempt, Finding, may_signal, worst};
use crate::system::{call, pause};
use crate::told::Told;

/// The largest process number that is tried: `pid_max` of a machine as it is installed.
const LAST_PID: i32 = 32_768;

/// See the module's text.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    let mut all = Vec::new();
    for (name, key) in [
        ("signal.agent", "agent_pid"),
        ("signal.victim", "victim_pid"),
        ("signal.control", "control_pid"),
    ] {
        all.push(Attempt::new(name, move || match told.pid(key) {
            Some(pid) => one(pid),
            None => Finding::not_told(key),
        }));
    }
    all.push(Attempt::new("signal.init", || one(1)));
    all.push(Attempt::new("signal.parent", || {
        let leader = nix::unistd::getsid(None).map_or(1, Pid::as_raw);
        match parent_of(leader) {
            Some(parent) => one(parent),
            None => Finding::Denied("the leader's parent cannot be found".to_owned()),
        }
    }));
    all.push(Attempt::new("signal.anybody", anybody));
    all
}

/// By each call that can send one.
fn one(pid: i32) -> Finding {
    worst([
        ("kill".to_owned(), may_signal(pid)),
        (
            "tgkill".to_owned(),
            Finding::of(
                call(libc::SYS_tgkill, &[pid as usize, pid as usize, 0]),
                "may signal its thread",
            ),
        ),
        ("pidfd".to_owned(), by_pidfd(pid)),
    ])
}

fn by_pidfd(pid: i32) -> Finding {
    match call(libc::SYS_pidfd_open, &[pid as usize, 0]) {
        Ok(fd) => Finding::of(
            call(libc::SYS_pidfd_send_signal, &[fd, 0, 0, 0]),
            "may signal it by descriptor",
        ),
        Err(errno) => Finding::denied(errno),
    }
}

/// Whoever has a number; only this execution's own session may be signalled.
fn anybody() -> Finding {
    let own = nix::unistd::getsid(None).ok();
    let reached: Vec<i32> = (1..=LAST_PID)
        .filter(|&pid| kill(Pid::from_raw(pid), None).is_ok())
        .filter(|&pid| nix::unistd::getsid(Some(Pid::from_raw(pid))).ok() != own)
        .take(5)
        .collect();
    Finding::holds(
        reached.is_empty(),
        format!("nobody up to {LAST_PID}"),
        format!("may signal {reached:?} and perhaps more"),
    )
}

fn parent_of(pid: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim()
        .parse()
        .ok()
}

/// Everything that can be reached is killed, except this process. Who survives is seen from outside.
pub fn rampage() -> ExitCode {
    if nix::unistd::geteuid().is_root() {
        println!("as root it would end the machine");
        return ExitCode::from(2);
    }
    let own = std::process::id().cast_signed();
    // SAFETY: ignoring a signal runs no code.
    let _ = unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) };
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let _ = kill(Pid::from_raw(-1), signal);
        for pid in (1..=LAST_PID).filter(|&pid| pid != own) {
            let _ = kill(Pid::from_raw(pid), signal);
            let _ = kill(Pid::from_raw(-pid), Signal::SIGCONT);
        }
        pause(50);
    }
    println!("has killed whom it could");
    ExitCode::SUCCESS
}
