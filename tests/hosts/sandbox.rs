//! The sandbox's own tests on a real host: with delegated cgroups as root, as an unprivileged service, and
//! without delegation, where the fallbacks for missing rights have to hold.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use crate::machine::Machine;
use crate::process;
use crate::suite::{self, Shared, tests};

tests![
    the_sandbox_holds_for_root_with_delegated_cgroups,
    the_sandbox_holds_for_an_unprivileged_service_with_delegated_cgroups,
    the_sandbox_holds_for_root_without_delegation,
];

const PROGRAM: &str = "/usr/local/lib/flux-tests/sandbox";
/// A busy machine takes three minutes for them; nothing that hangs takes longer than this.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const SOMEBODY: &str = "sandbox-tests";

/// The compiled `tests/sandbox`, without debug information.
static SANDBOX_TESTS: LazyLock<PathBuf> = LazyLock::new(|| stripped(&built("sandbox")));

fn the_sandbox_holds_for_root_with_delegated_cgroups() {
    run_as_a_service("sandbox-root", &["Delegate=yes"], "");
}

fn the_sandbox_holds_for_an_unprivileged_service_with_delegated_cgroups() {
    let user = format!("User={SOMEBODY}");
    run_as_a_service("sandbox-user", &["Delegate=yes", &user], "");
}

fn the_sandbox_holds_for_root_without_delegation() {
    // Without Delegate=, systemd ends the whole service for one process out of memory: systemd.service(5).
    run_as_a_service(
        "sandbox-undelegated",
        &["Delegate=no", "OOMPolicy=continue"],
        // What has nothing to do with cgroups is the same as with delegation.
        "--skip disk:: --skip syscalls:: --skip files:: --skip output::",
    );
}

/// Every test must pass; what the tests leave out for missing rights is printed. A guest for each setting:
/// the tests keep a processor busy for minutes.
fn run_as_a_service(setting: &str, properties: &[&str], arguments: &str) {
    let guest = guest_with_the_tests(setting);
    let properties: String = properties.iter().map(|it| format!(" -p {it}")).collect();
    let ran = guest.run_within(
        &format!("systemd-run --quiet --wait --pipe --collect{properties} {PROGRAM} --nocapture {arguments}"),
        LIMIT,
    );
    // Indented, so that nobody takes its summary for this program's.
    let output = format!("{}{}", ran.stdout, ran.stderr).replace('\n', "\n  ");
    assert!(
        ran.status == 0 && ran.stdout.contains("test result: ok."),
        "{setting}: ended with {}\n{output}",
        ran.status
    );
    let skipped: BTreeSet<&str> = output
        .lines()
        .filter_map(|line| line.find("skipped").map(|at| &line[at..]))
        .filter(|line| !line.starts_with("skipped;"))
        .collect();
    let summary = ran
        .stdout
        .lines()
        .rfind(|line| line.starts_with("test result"));
    println!(
        "hosts: sandbox as {setting}: {}",
        summary.unwrap_or_default()
    );
    for line in skipped {
        println!("hosts:   {line}");
    }
}

fn guest_with_the_tests(name: &str) -> Shared {
    let guest = suite::machine(name);
    if guest.run(&format!("test -x {PROGRAM}")).status != 0 {
        install(&guest);
    }
    guest
}

fn install(guest: &Machine) {
    guest.copy(&SANDBOX_TESTS, PROGRAM);
    guest.succeed(&format!("chmod 755 {PROGRAM}; useradd --system {SOMEBODY}"));
}

/// The newest build of a test program, from cargo itself: only it knows which file that is. It has been
/// built with this one, so this finds more than it compiles.
fn built(test: &str) -> PathBuf {
    let here = env::current_exe().expect("this program's path");
    let profile = here
        .ancestors()
        .nth(2)
        .expect("target/PROFILE/deps/program");
    let mut cargo = process::command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--locked", "--offline", "--no-run", "--test", test]);
    cargo.args([
        "--message-format",
        "json",
        "--profile",
        profile_name(profile),
    ]);
    cargo
        .arg("--target-dir")
        .arg(profile.parent().expect("a target directory"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let ran = process::run_within(&mut cargo, LIMIT).expect("cargo ends");
    assert!(ran.status == 0, "cargo failed:\n{}", ran.stderr);
    ran.stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == test)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the program")
}

fn profile_name(directory: &Path) -> &str {
    match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    }
}

/// A tenth of the bytes to send.
fn stripped(program: &Path) -> PathBuf {
    let output = PathBuf::from(crate::namespace::SCRATCH).join("sandbox-tests");
    process::succeed(
        process::command("strip")
            .arg("-o")
            .arg(&output)
            .arg(program),
    );
    output
}
