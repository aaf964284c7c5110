//! A program that is run as a function and tries to get out.
//!
//! Owns: the attempts, one file for each family, and the modes whose result only shows from
//! outside, after the end. Uses std, libc and nix alone, nothing of Flux: it is an attacker who knows the
//! layout, and runs on any Debian.
//! Invariants: each attempt prints one line, `denied <name>: <how>`, `ESCAPED <name>: <what>`,
//! `unclear <name>: <why>` or `skipped <name>: <why>`; names never change; the exit code is 0
//! only when nothing escaped and nothing was unclear. Every attempt does no harm where it
//! succeeds, so that its power can be shown by a run as root outside of any sandbox.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program of its own: no supervisor, no sandbox, no logger"
)]

mod attempt;
mod cgroups;
mod control;
mod devices;
mod entries;
mod files;
mod gates;
mod inherited;
mod leavings;
mod limits;
mod links;
mod network;
mod persistent;
mod privileges;
mod processes;
mod programs;
mod release;
mod rpc;
mod signals;
mod sockets;
mod system;
mod takes;
mod told;
mod victim;

use std::process::ExitCode;

use attempt::{Attempt, run};
use told::Told;

/// Modes, and what a person can ask for.
const USAGE: &str = "escape_probe try|victim|linger|plant|rampage|take [name=value]…";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let told: &'static Told = Box::leak(Box::new(Told::new(arguments)));
    match mode.as_str() {
        "try" => try_everything(told),
        "privileged" => privileges::report_as_other_program(),
        "victim" => victim::wait(),
        "linger" => leavings::linger(told),
        "lingering" => leavings::outlive(),
        "plant" => links::plant(told),
        "rampage" => signals::rampage(),
        "take" => takes::take(told),
        _ => {
            println!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn try_everything(told: &'static Told) -> ExitCode {
    let mut failed = 0;
    for attempt in attempts(told) {
        let finding = run(&attempt);
        failed += u32::from(finding.is_failure());
        println!("{}", finding.line(&attempt.name));
    }
    println!("end of the table");
    ExitCode::from(u8::from(failed > 0))
}

fn attempts(told: &'static Told) -> Vec<Attempt> {
    [
        inherited::attempts(told),
        files::attempts(told),
        processes::attempts(told),
        signals::attempts(told),
        cgroups::attempts(told),
        release::attempts(told),
        links::attempts(told),
        privileges::attempts(told),
        programs::attempts(told),
        gates::attempts(told),
        entries::attempts(told),
        devices::attempts(told),
        persistent::attempts(told),
        limits::attempts(told),
        rpc::attempts(told),
        control::attempts(told),
        sockets::attempts(told),
        network::attempts(told),
    ]
    .into_iter()
    .flatten()
    .filter(|attempt| told.wants(&attempt.name))
    .collect()
}
