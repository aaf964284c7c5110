//! Every test that is not beside the code it tests: the real programs, the library from outside, whole
//! Debian machines, and the sources themselves.
//!
//! [`list`] names the modules, [`runner`] runs what they list. This program is also started by its own
//! tests: as a helper, as the process of one test, as the one that has the guests.
#![cfg(target_os = "linux")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program says what it builds, skips and found"
)]

mod api;
mod architecture;
mod cli;
mod cli_client;
mod crash;
mod deploy_attacks;
mod durability;
mod escape;
mod fleet;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../hostile_archives/mod.rs"]
mod hostile_archives;
mod hosts;
mod http_server;
mod interop;
mod list;
mod packaging;
mod rpc;
mod runner;
mod sandbox;
mod store_conformance;
mod workdir;

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::note_panics();
    runner::serve_helper(list::HELPERS)
        .or_else(|| runner::serve_alone(list::tests))
        .or_else(|| hosts::serve(list::tests))
        .unwrap_or_else(|| runner::run(list::tests()))
}
