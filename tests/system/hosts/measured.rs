//! A program on a guest, for a person who measures: `scripts/host --run PROGRAM [ARGUMENT…]` boots
//! one, copies the program there and runs it as a service with delegated cgroups, as the agent runs.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use super::suite;

/// Set to a path: no test is run, and that program run on a guest instead.
const PROGRAM: &str = "FLUX_HOSTS_PROGRAM";
/// What follows it, as a shell reads it.
const ARGUMENTS: &str = "FLUX_HOSTS_ARGUMENTS";
/// Where it is copied to.
const REMOTE: &str = "/usr/local/bin/measured";

/// The program that a person wants to run, if one does.
pub fn wanted() -> Option<PathBuf> {
    let path = env::var_os(PROGRAM).filter(|path| !path.is_empty())?;
    Some(path.into())
}

/// Boots a guest, and gives the program's output and success.
pub fn run(program: &std::path::Path) -> ExitCode {
    let machine = suite::fresh("measured");
    machine.copy(program, REMOTE);
    machine.succeed(&format!("chmod 755 {REMOTE}"));
    let arguments = env::var(ARGUMENTS).unwrap_or_default();
    let ended = machine
        .interactive()
        .arg(format!(
            "systemd-run --quiet --wait --pipe --collect -p Delegate=yes {REMOTE} {arguments}"
        ))
        .status()
        .expect("ssh");
    if ended.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
