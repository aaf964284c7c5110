//! The Debian packages under test, and a guest that has them: built once a run by `scripts/package`,
//! installed and configured as docs/operations.md tells a person to.
//!
//! Invariants: both revisions hold the same programs, so going from one to the other is an upgrade in
//! either direction and is compiled once; a configured guest has one agent, registered and online.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use super::machine::Machine;
use super::suite::{self, Shared};
use crate::harness::process;

/// A release build from nothing takes minutes; its packages some seconds.
const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);
/// For what installs, upgrades or removes: an agent that is stopped first drains.
const DPKG_LIMIT: Duration = Duration::from_secs(240);
/// How long executions get when the agent stops; longer than what tests let end in it.
pub const DRAIN_SECONDS: u32 = 15;
/// What the agent calls itself, and the key that the fleet asks for.
pub const AGENT: &str = "worker-1";
pub const KEY: &str = "a-key-for-tests-0123456789";

/// Two revisions of the packages, each as (flux, flux-agent).
static REVISIONS: LazyLock<[[PathBuf; 2]; 2]> =
    LazyLock::new(|| [build(&[]), build(&["--revision", "2"])]);

/// One of the two packages.
#[derive(Debug, Clone, Copy)]
pub enum Package {
    Flux,
    Agent,
}

impl Package {
    pub fn name(self) -> &'static str {
        match self {
            Package::Flux => "flux",
            Package::Agent => "flux-agent",
        }
    }

    /// Of the first revision, on this machine.
    pub fn file(self) -> &'static Path {
        self.revision(0)
    }

    fn revision(self, number: usize) -> &'static Path {
        let [flux, agent] = &REVISIONS[number];
        match self {
            Package::Flux => flux,
            Package::Agent => agent,
        }
    }
}

/// What `scripts/package` prints: a path a line.
fn build(arguments: &[&str]) -> [PathBuf; 2] {
    let here = env::current_exe().expect("this program's path");
    // target/PROFILE/deps/program; the build is there already, for the most part.
    let target = here.ancestors().nth(3).expect("a target directory");
    let mut script = process::command("scripts/package");
    script
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_NET_OFFLINE", "true");
    let ran = process::run_within(&mut script, BUILD_LIMIT).expect("the packages in time");
    assert!(ran.status == 0, "scripts/package failed:\n{}", ran.stderr);
    let files: Vec<PathBuf> = ran.stdout.lines().map(PathBuf::from).collect();
    files.try_into().expect("two packages")
}

/// Installs the first revision of both.
#[track_caller]
pub fn install(guest: &Machine) {
    for package in [Package::Flux, Package::Agent] {
        dpkg(guest, "--install", &sent(guest, package, 0));
    }
}

/// Replaces what is installed by the other revision; returns when the scripts of the package have.
#[track_caller]
pub fn upgrade(guest: &Machine, package: Package) {
    let query = format!("dpkg-query -W -f '${{Version}}' {}", package.name());
    let number = usize::from(!guest.succeed(&query).ends_with("-2"));
    dpkg(guest, "--install", &sent(guest, package, number));
}

/// `--remove` or `--purge` for a name, `--install` for a file.
#[track_caller]
pub fn dpkg(guest: &Machine, action: &str, what: &str) {
    let line = format!("DEBIAN_FRONTEND=noninteractive dpkg {action} {what}");
    let ran = guest.run_within(&line, DPKG_LIMIT);
    assert!(ran.status == 0, "{line}:\n{}{}", ran.stdout, ran.stderr);
}

#[track_caller]
fn sent(guest: &Machine, package: Package, revision: usize) -> String {
    let file = package.revision(revision);
    let name = file.file_name().expect("a file").to_string_lossy();
    let place = format!("/root/debs/{name}");
    if guest.run(&format!("test -f {place}")).status != 0 {
        guest.copy(file, &place);
    }
    place
}

/// Both services with a configuration, and the agent in the fleet.
#[track_caller]
pub fn configure(guest: &Machine) {
    guest.succeed(&format!(
        "install -m 640 -g flux /etc/flux/flux.yaml.example /etc/flux/flux.yaml \
         && sed -i 's/^api_key: .*/api_key: {KEY}/' /etc/flux/flux.yaml \
         && systemctl start flux"
    ));
    let join = format!("agent enroll {AGENT} | flux-agent join http://127.0.0.1:7227 -");
    guest.succeed(&as_client(&join));
    guest.succeed(&format!(
        "printf 'require_isolation: true\\npublic_ip_lookup: false\\nlimits:\\n  drain_timeout: {DRAIN_SECONDS}s\\n' \
         >>/etc/flux-agent/agent.yaml"
    ));
    guest.succeed("systemctl start flux-agent");
    let address = guest.address();
    flux(guest, &format!("agent register {address}:50052"));
    wait_until_online(guest);
}

#[track_caller]
pub fn wait_until_online(guest: &Machine) {
    guest.wait_until(&as_client(&format!("agents | grep '{AGENT} .* online'")));
}

/// Runs the command line on the guest, as a client with the key; panics where it fails.
#[track_caller]
pub fn flux(guest: &Machine, arguments: &str) -> String {
    guest.succeed(&as_client(arguments))
}

/// The same as a line of shell.
pub fn as_client(arguments: &str) -> String {
    format!("export FLUX_URL=http://127.0.0.1:7227 FLUX_API_KEY={KEY}; flux {arguments}")
}

/// A function that runs its arguments: `flux exec shell -- 'echo a line of shell'`.
#[track_caller]
pub fn deploy_shell(guest: &Machine) {
    guest.put(
        "/root/shell/function.yaml",
        "name: shell\nhandler: run.sh\nresources:\n  memory: 64\n",
        0o644,
    );
    guest.put(
        "/root/shell/run.sh",
        "#!/bin/sh\nexec sh -c \"$1\"\n",
        0o755,
    );
    flux(guest, "deploy /root/shell");
}

/// A guest with both packages, configured, and the function of [`deploy_shell`]; each test leaves both
/// services running.
pub fn fleet() -> Shared {
    let guest = suite::machine("packages");
    if guest.run("test -d /root/shell").status != 0 {
        install(&guest);
        configure(&guest);
        deploy_shell(&guest);
    }
    wait_until_online(&guest);
    guest
}
