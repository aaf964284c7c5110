//! A guest for a person: `scripts/host` boots one and gives a shell on it; it is gone with the shell.

use std::env;
use std::process::ExitCode;

use super::suite;

/// Set to a name: no test is run, and a shell on a guest of that name opened instead.
pub const SHELL: &str = "FLUX_HOSTS_SHELL";

/// The guest that a person wants, if one does.
pub fn wanted() -> Option<String> {
    env::var(SHELL).ok().filter(|name| !name.is_empty())
}

/// Boots it, and waits for the person to leave.
pub fn open(name: &str) -> ExitCode {
    let machine = suite::fresh(name);
    println!(
        "hosts: {name} is up at {}; it is gone when this shell ends",
        machine.address()
    );
    let ended = machine.interactive().status().expect("ssh");
    if ended.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
