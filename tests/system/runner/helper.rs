//! Programs that tests need and that are no tests: a process to be killed, one that holds files, one that
//! forks. They are this program, started again with their name, before it collects any test.

use std::env;
use std::process::{Command, ExitCode};

use crate::harness::process;

/// The first argument of a helper; the second is its name.
const ARGUMENT: &str = "--helper";

/// A name, as `list` has it, and what runs under it.
pub type Helper = (&'static str, fn());

/// The arguments of this program for a helper.
pub fn arguments(name: &str) -> [&str; 2] {
    [ARGUMENT, name]
}

/// This program as a helper.
pub fn command(name: &str) -> Command {
    let mut command = process::command(this_program());
    command.args(arguments(name));
    command
}

/// The path of this program.
pub fn this_program() -> std::path::PathBuf {
    env::current_exe().expect("this program's path")
}

/// Runs the helper that the arguments ask for, if they do.
pub fn serve(helpers: &[Helper]) -> Option<ExitCode> {
    let mut arguments = env::args().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let name = arguments.next().unwrap_or_default();
    let Some((_, run)) = helpers.iter().find(|(it, _)| *it == name) else {
        eprintln!("there is no helper {name:?}");
        return Some(ExitCode::from(2));
    };
    run();
    Some(ExitCode::SUCCESS)
}
