//! The process inside: it has the guests, sees their network as its own, and runs the tests that it is
//! told the names of, each on a thread, until its standard input ends.

use std::io::{Write, stdin, stdout};
use std::process::ExitCode;
use std::thread;

use serde_json::json;

use super::{measured, namespace, network, shell};
use crate::runner::{Elsewhere, Outcome, Test, take_elsewhere};

/// As process 1 of the namespaces; every guest ends with it.
pub fn serve(tests: Vec<Test>) -> ExitCode {
    namespace::prepare();
    network::create();
    if let Some(name) = shell::wanted() {
        return shell::open(&name);
    }
    if let Some(program) = measured::wanted() {
        return measured::run(&program);
    }
    let tests: &'static [Test] = Vec::leak(tests);
    for name in stdin().lines() {
        let name = name.expect("text");
        thread::Builder::new()
            .name(format!("around {name}"))
            .spawn(move || tell(&name, &outcome_of(tests, &name)))
            .expect("a thread");
    }
    ExitCode::SUCCESS
}

fn outcome_of(tests: &[Test], name: &str) -> Outcome {
    match tests.iter().find(|test| test.name == name) {
        Some(test) => Outcome::of(test),
        None => Outcome::Failed(format!("there is no test {name:?}")),
    }
}

/// One line, whatever else writes.
fn tell(test: &str, outcome: &Outcome) {
    let mut value = outcome.to_json();
    value["test"] = json!(test);
    let elsewhere: Vec<_> = take_elsewhere().iter().map(Elsewhere::to_json).collect();
    value["elsewhere"] = json!(elsewhere);
    let mut output = stdout().lock();
    writeln!(output, "{value}")
        .and_then(|()| output.flush())
        .expect("somebody reads");
}
