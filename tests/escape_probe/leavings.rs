//! Processes that want to outlive their execution, each by another trick.
//!
//! `mark` stands in the environment and the arguments of each, so that the test finds those that
//! succeed. Bounded: whatever survives ends by itself after [`STAYS_MS`].

use std::ffi::CString;
use std::process::ExitCode;

use nix::sys::signal::{SigHandler, Signal, raise, signal};
use nix::unistd::{ForkResult, Pid, execve, setsid};

use crate::system::{c_string, call, exit_now, fork, pause};
use crate::told::Told;

/// Long enough for a test to find it, short enough to be no leftover.
const STAYS_MS: u64 = 60_000;
/// Of the one that passes itself on.
const HOPS: usize = 20_000;
const KEEPS_ENVIRONMENT: bool = true;

/// Name, whether its environment stays, what it does before it waits.
type Trick = (&'static str, bool, fn());

const CHILD_OF_THE_AGENT: &str = "child_of_the_agent";
const TRICKS: [Trick; 10] = [
    ("background", KEEPS_ENVIRONMENT, || {}),
    ("own_session", KEEPS_ENVIRONMENT, leave_session),
    ("closed_descriptors", KEEPS_ENVIRONMENT, close_all),
    ("deaf", KEEPS_ENVIRONMENT, ignore_signals),
    ("no_death_signal", KEEPS_ENVIRONMENT, forget_parent),
    ("no_environment", !KEEPS_ENVIRONMENT, leave_session),
    ("stopped", KEEPS_ENVIRONMENT, leave_session),
    ("dead_leader_with_thread", KEEPS_ENVIRONMENT, leave_session),
    (CHILD_OF_THE_AGENT, KEEPS_ENVIRONMENT, || {}),
    ("hopping", KEEPS_ENVIRONMENT, leave_session),
];

/// Starts them all and ends; with `hold`, waits with them.
pub fn linger(told: &Told) -> ExitCode {
    let mark = told.one("mark").unwrap_or("unmarked");
    let mut started = 0;
    for (name, keeps_environment, prepare) in TRICKS {
        let born = if name == CHILD_OF_THE_AGENT {
            fork_as_sibling()
        } else {
            fork()
        };
        match born {
            Ok(ForkResult::Child) => {
                prepare();
                become_lingering(mark, name, keeps_environment);
                exit_now(1)
            }
            Ok(ForkResult::Parent { .. }) => started += 1,
            Err(errno) => println!("no child for {name}: {errno}"),
        }
    }
    // Time for each to be what it wants to be.
    pause(300);
    println!("left {started} of {}", TRICKS.len());
    if told.one("hold").is_some() {
        pause(STAYS_MS);
    }
    ExitCode::from(u8::from(started != TRICKS.len()))
}

/// By exec: the trick and the mark are what `/proc` shows from then on.
fn become_lingering(mark: &str, trick: &str, keeps_environment: bool) {
    let program = c_string("/proc/self/exe");
    let arguments = [
        program.clone(),
        c_string("lingering"),
        c_string(&format!("trick={trick}")),
        c_string(&format!("mark={mark}")),
    ];
    let mut environment: Vec<CString> = Vec::new();
    if keeps_environment {
        environment
            .extend(std::env::vars().map(|(name, value)| c_string(&format!("{name}={value}"))));
    }
    let _ = execve(&program, &arguments, &environment);
}

/// What a lingering process does, to its end.
pub fn outlive() -> ExitCode {
    let trick = std::env::args().nth(2).unwrap_or_default();
    match trick.trim_start_matches("trick=") {
        "stopped" => {
            let _ = raise(Signal::SIGSTOP);
        }
        "dead_leader_with_thread" => leave_only_a_thread(),
        "hopping" => hop(),
        _ => {}
    }
    pause(STAYS_MS);
    ExitCode::SUCCESS
}

/// Twice: the first child is no session's leader, and its parent is gone.
fn leave_session() {
    let _ = setsid();
    if let Ok(ForkResult::Parent { .. }) = fork() {
        exit_now(0);
    }
}

fn close_all() {
    leave_session();
    let _ = call(libc::SYS_close_range, &[0, libc::c_int::MAX as usize, 0]);
}

fn ignore_signals() {
    leave_session();
    for kind in Signal::iterator() {
        // SAFETY: ignoring a signal runs no code.
        let _ = unsafe { signal(kind, SigHandler::SigIgn) };
    }
}

fn forget_parent() {
    let _ = call(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG as usize, 0]);
    leave_session();
}

/// A child whose parent is this process's own: the agent, when the function's leader does it.
fn fork_as_sibling() -> nix::Result<ForkResult> {
    let flags = (libc::CLONE_PARENT | libc::SIGCHLD) as usize;
    match call(libc::SYS_clone, &[flags, 0, 0, 0, 0])? {
        0 => Ok(ForkResult::Child),
        pid => Ok(ForkResult::Parent {
            child: Pid::from_raw(pid as i32),
        }),
    }
}

/// The first thread ends: `/proc` shows a zombie whose other thread runs on.
fn leave_only_a_thread() {
    std::thread::spawn(|| pause(STAYS_MS));
    let _ = call(libc::SYS_exit, &[0]);
}

/// A new process again and again: whoever kills by number comes too late.
fn hop() {
    for _ in 0..HOPS {
        match fork() {
            Ok(ForkResult::Parent { .. }) => exit_now(0),
            Ok(ForkResult::Child) => {}
            Err(_) => return,
        }
    }
}
