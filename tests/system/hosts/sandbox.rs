//! The sandbox's own tests on a real host: with delegated cgroups as root, as an unprivileged service, and
//! without delegation, where the fallbacks for missing rights have to hold.
//!
//! They are this program's tests of `sandbox`. How each of them ended there is told to this run, in which
//! one that was skipped on one machine has to have passed on another.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use super::machine::Machine;
use super::namespace;
use super::suite::{self, Shared};
use crate::harness::process;
use crate::runner::{Outcome, REPORT, helper, ran_elsewhere, read_report, tests};

tests![
    the_sandbox_holds_for_root_with_delegated_cgroups,
    the_sandbox_holds_for_an_unprivileged_service_with_delegated_cgroups,
    the_sandbox_holds_for_root_without_delegation,
];

const PROGRAM: &str = "/usr/local/lib/flux-tests/system";
/// What of the program runs there; the tests of this module are not meant.
const SELECTED: &str = "sandbox:: --skip hosts::";
/// A busy machine takes three minutes for them; nothing that hangs takes longer than this.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SOMEBODY: &str = "sandbox-tests";

/// This program, without debug information: a tenth of the bytes to send.
static STRIPPED: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = PathBuf::from(namespace::SCRATCH).join("system");
    let mut strip = process::command("strip");
    process::succeed(strip.arg("-o").arg(&output).arg(helper::this_program()));
    output
});

fn the_sandbox_holds_for_root_with_delegated_cgroups() {
    run_as_a_service("root", &["Delegate=yes"], "");
}

fn the_sandbox_holds_for_an_unprivileged_service_with_delegated_cgroups() {
    let user = format!("User={SOMEBODY}");
    run_as_a_service("user", &["Delegate=yes", &user], "");
}

fn the_sandbox_holds_for_root_without_delegation() {
    // Without Delegate=, systemd ends the whole service for one process out of memory: systemd.service(5).
    run_as_a_service(
        "undelegated",
        &["Delegate=no", "OOMPolicy=continue"],
        // What has nothing to do with cgroups is the same as with delegation.
        "--skip disk:: --skip syscalls:: --skip files:: --skip output::",
    );
}

/// No test may fail, and none may be missing. A guest for each setting: the tests keep its one processor
/// busy for minutes, one after the other.
fn run_as_a_service(setting: &str, properties: &[&str], more: &str) {
    let setting = format!("sandbox-{setting}");
    let guest = guest_with_the_tests(&setting);
    let listed = guest.succeed(&format!("{PROGRAM} {SELECTED} {more} --list"));
    let properties: String = properties.iter().map(|it| format!(" -p {it}")).collect();
    let ran = guest.run_within(
        &format!(
            "systemd-run --quiet --wait --pipe --collect --setenv={REPORT}=yes{properties} \
             {PROGRAM} {SELECTED} {more} --test-threads=1"
        ),
        LIMIT,
    );
    let told = read_report(&setting, &ran.stdout);
    let failed = told
        .iter()
        .any(|it| matches!(it.outcome, Outcome::Failed(_)));
    assert!(
        ran.status == 0 && !failed && told.len() == listed.lines().count(),
        "{setting}: ended with {}, and told of {} of these tests:\n{listed}\n{}{}",
        ran.status,
        told.len(),
        ran.stdout,
        ran.stderr
    );
    ran_elsewhere(told);
}

fn guest_with_the_tests(name: &str) -> Shared {
    let guest = suite::machine(name);
    if guest.run(&format!("test -x {PROGRAM}")).status != 0 {
        install(&guest);
    }
    guest
}

fn install(guest: &Machine) {
    guest.copy(&STRIPPED, PROGRAM);
    guest.succeed(&format!("chmod 755 {PROGRAM}; useradd --system {SOMEBODY}"));
}
