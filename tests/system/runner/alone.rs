//! A process for one test, which changes its process or measures it: identities, limits, filters of
//! system calls, children and what becomes of them.
//!
//! The process is this program, started again with the test's name. It tells how the test ended in one
//! line; one that ends without that line, with two, or otherwise than the line says, has failed.

use std::env;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use super::helper::this_program;
use super::outcome::Outcome;
use super::test::Test;
use crate::harness::process::{self, Overdue, Ran};

/// The first argument of such a process; the second is the test's name.
const ARGUMENT: &str = "--alone";
/// What that line begins with.
const MARK: &str = "flux-test-ended: ";
const FAILED: u8 = 101;
/// For one test. Those of the sandbox wait three minutes for a condition at the most; nothing that
/// hangs takes longer than this.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Runs the test in such a process.
pub fn outcome_of(test: &Test) -> Outcome {
    let mut command = process::command(this_program());
    command.args([ARGUMENT, &test.name]).stdin(Stdio::null());
    match process::run_within(&mut command, LIMIT) {
        Ok(ran) => outcome(&ran),
        Err(Overdue { stdout, stderr }) => {
            Outcome::Failed(format!("not over within {LIMIT:?}\n{stdout}{stderr}"))
        }
    }
}

fn outcome(ran: &Ran) -> Outcome {
    let marked = ran
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix(MARK));
    let mut told = marked.map(|line| Outcome::from_json(&serde_json::from_str(line).ok()?));
    // A child of the test that gets so far tells something, too.
    let only = match (told.next(), told.next()) {
        (Some(outcome), None) => outcome,
        _ => None,
    };
    let expected = only.as_ref().map(|outcome| i32::from(code(outcome)));
    match only {
        Some(Outcome::Failed(words)) => Outcome::Failed(format!("{words}{}", ran.stderr)),
        Some(outcome) if expected == Some(ran.status) => outcome,
        Some(_) | None => Outcome::Failed(format!(
            "its process ended with {}, and otherwise than it told:\n{}{}",
            ran.status, ran.stdout, ran.stderr
        )),
    }
}

fn code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Passed | Outcome::Skipped(_) => 0,
        Outcome::Failed(_) => FAILED,
    }
}

/// Runs the test that the arguments ask for, if they do.
pub fn serve(tests: impl FnOnce() -> Vec<Test>) -> Option<ExitCode> {
    let mut arguments = env::args().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let name = arguments.next().unwrap_or_default();
    let test = tests().into_iter().find(|test| test.name == name);
    let outcome = match test {
        Some(test) => Outcome::of(&test),
        None => Outcome::Failed(format!("there is no test {name:?}")),
    };
    // On a line of its own, whatever the test has written before.
    println!("\n{MARK}{}", outcome.to_json());
    Some(ExitCode::from(code(&outcome)))
}
