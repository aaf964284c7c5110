//! Flux on real Debian machines: guests under User-Mode Linux with systemd, cgroup v2 and a kernel that
//! has Landlock, booted once, shared by the tests, and gone with the run.
//!
//! A run has two processes. The outer one checks what the machine offers ([`requirements`]), builds kernel
//! and disk where the cache lacks them ([`cache`]), and starts the inner one in namespaces of its own
//! ([`namespace`]): network, so that nothing leaks into the real one; mounts, for a temporary file system
//! that nobody else sees; processes, so that the kernel ends every guest when the inner one ends, however
//! that comes. The inner one runs the tests ([`suite`]) and sees the guests' network as its own.
//!
//! A new module of tests: `mod` and one line in [`tests`]; [`sandbox`] is the example.
#![cfg(target_os = "linux")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program says what it builds, skips and found"
)]

mod cache;
mod debs;
mod ends;
mod escape;
mod guests;
mod logs;
mod machine;
mod measured;
mod namespace;
mod network;
mod packages;
mod prober;
mod process;
#[path = "../escape/program.rs"]
mod program;
mod quota;
mod requirements;
mod sandbox;
mod shell;
mod ssh;
mod suite;
#[path = "../escape/table.rs"]
mod table;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// More than the guests at work, of which `suite` lets few: most of these wait for the guest that another
/// test has.
const TESTS_AT_ONCE: usize = 12;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(TESTS_AT_ONCE);
    let tests = tests();
    if arguments.list || !tests.iter().any(|test| is_selected(&arguments, test)) {
        return libtest_mimic::run(&arguments, tests).exit_code();
    }
    if namespace::is_inside() {
        return inside(&arguments, tests);
    }
    let missing = requirements::missing();
    if missing.is_empty() {
        cache::build_what_is_missing();
        return namespace::run_this_program_inside();
    }
    requirements::refuse_where_hosts_are_required(&missing);
    println!(
        "hosts: every test is skipped, because {}",
        missing.join("; ")
    );
    let skipped = tests.into_iter().map(|test| test.with_ignored_flag(true));
    libtest_mimic::run(&arguments, skipped.collect()).exit_code()
}

/// Every test of the program, by module.
fn tests() -> Vec<Trial> {
    [
        guests::tests(),
        sandbox::tests(),
        packages::tests(),
        escape::tests(),
        ends::tests(),
        quota::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn is_selected(arguments: &Arguments, test: &Trial) -> bool {
    !arguments.is_filtered_out(test)
}

fn inside(arguments: &Arguments, tests: Vec<Trial>) -> ExitCode {
    namespace::prepare();
    network::create();
    if let Some(name) = shell::wanted() {
        return shell::open(&name);
    }
    if let Some(program) = measured::wanted() {
        return measured::run(&program);
    }
    libtest_mimic::run(arguments, tests).exit_code()
}
