//! The namespaces of a run: network, mounts and processes, all without a name and all gone with it.
//!
//! Invariants: the inner program is process 1 of its namespace, so whatever ends it ends every guest; it
//! dies with the outer one (`unshare --kill-child`, under `setpriv --pdeathsig`), which may be killed by
//! SIGKILL; everything that a run writes for itself lies in a tmpfs of its own mount namespace. Nothing
//! has to be cleared after a run that was killed, because nothing outlives it: no named namespace, no tap,
//! no file.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, ExitCode};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::harness::process;

/// Says that this process is the inner one; its value is the outer one's process id.
pub const INSIDE: &str = "FLUX_HOSTS_INSIDE";

/// The run's own tmpfs, inside: guests' memory and what their disks differ by. Executable, because a guest
/// maps its memory executable.
pub const SCRATCH: &str = "/dev/shm";

pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// A command whose program runs in namespaces of its own, as process 1, and dies with this process.
pub fn in_new_namespaces(program: &OsStr) -> Command {
    unshared(&["--net"], program)
}

/// The same, but on the machine's own network: for what downloads.
pub fn with_the_network(program: &OsStr) -> Command {
    unshared(&[], program)
}

fn unshared(more: &[&str], program: &OsStr) -> Command {
    let mut command = process::command("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare"]);
    command.args(more);
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg("--").arg(program);
    command
}

/// The outer process: runs this program again, inside, with the same arguments, to its end.
pub fn run_this_program_inside() -> ExitCode {
    let program = env::current_exe().expect("this program's path");
    let mut command = in_new_namespaces(program.as_os_str());
    command.args(env::args_os().skip(1));
    command.env(INSIDE, std::process::id().to_string());
    // Before the child exists, so that no signal falls between.
    let signals = Signals::new([SIGCHLD, SIGINT, SIGTERM, SIGHUP]).expect("signal handlers");
    let child = command.spawn().expect("setpriv and unshare");
    follow(child, signals)
}

/// The inner process: its own place to write.
pub fn prepare() {
    assert!(Path::new(SCRATCH).is_dir(), "{SCRATCH} is not a directory");
    process::succeed(process::command("mount").args([
        "-t",
        "tmpfs",
        "-o",
        "mode=700,exec,size=90%",
        "flux-hosts",
        SCRATCH,
    ]));
}

/// Waits for the child; a signal that asks this process to end ends the child, and with it all guests.
fn follow(mut child: Child, mut signals: Signals) -> ExitCode {
    let mut asked = None;
    for signal in signals.forever() {
        if signal != SIGCHLD {
            asked.get_or_insert(signal);
            // It may be gone already.
            let _ = child.kill();
        }
        if let Some(status) = child.try_wait().expect("a child of ours") {
            let code = asked.map_or(status.code().unwrap_or(1), |signal| 128 + signal);
            return ExitCode::from(u8::try_from(code).unwrap_or(1));
        }
    }
    ExitCode::FAILURE
}
