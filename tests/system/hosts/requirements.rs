//! What a machine must offer for guests to run on it, and what happens where it does not: the suite says
//! so in one line, or fails where somebody counts on it.

use std::env;
use std::fs::File;
use std::path::Path;

use crate::harness::process;
use crate::runner::{Outcome, hosts_are_required_by};

/// Programs that the harness calls, and the Debian package of each (`scripts/install-packages test`).
const PROGRAMS: [(&str, &str); 13] = [
    ("debootstrap", "debootstrap"),
    ("ip", "iproute2"),
    ("mke2fs", "e2fsprogs"),
    ("ssh", "openssh-client"),
    ("make", "build-essential"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("xz", "xz-utils"),
    ("unshare", "util-linux"),
    ("dh", "debhelper"),
    ("dpkg-buildpackage", "dpkg-dev"),
    ("lintian", "lintian"),
];

/// Each thing that is missing, in words that finish "because …". Nothing, where guests can run.
pub fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !cfg!(target_arch = "x86_64") {
        missing.push("User-Mode Linux runs on x86_64 only".to_owned());
    }
    if !is_debian_12() {
        missing.push(
            "the guests are Debian 12, and what is built here is linked to other libraries"
                .to_owned(),
        );
    }
    if !nix::unistd::geteuid().is_root() {
        missing.push("it needs root, for namespaces and tap devices".to_owned());
        return missing;
    }
    if let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") {
        missing.push(format!("/dev/net/tun cannot be opened ({error})"));
    }
    missing.extend(missing_packages());
    if missing.is_empty() {
        missing.extend(namespaces_refused());
    }
    missing
}

/// What every test ends with where guests cannot run: skipped, or failed where somebody counts on them.
///
/// # Errors
/// That outcome.
pub fn check() -> Result<(), Outcome> {
    let missing = missing().join("; ");
    if missing.is_empty() {
        return Ok(());
    }
    Err(match hosts_are_required_by() {
        None => Outcome::Skipped(format!("this machine cannot have guests: {missing}")),
        Some(by) => Outcome::Failed(format!(
            "{by} is set, so guests have to run, and they cannot, because {missing}"
        )),
    })
}

fn is_debian_12() -> bool {
    std::fs::read_to_string("/etc/os-release")
        .is_ok_and(|text| text.lines().any(|line| line == "VERSION_CODENAME=bookworm"))
}

fn missing_packages() -> Option<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| env::split_paths(&path).any(|dir| dir.join(program).exists());
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    if !Path::new("/usr/src/linux-source-6.1.tar.xz").exists() {
        packages.push("linux-source-6.1");
    }
    (!packages.is_empty()).then(|| {
        format!(
            "these packages are missing: {} (scripts/install-packages test)",
            packages.join(" ")
        )
    })
}

/// Makes the namespaces of a run once, for nothing.
fn namespaces_refused() -> Option<String> {
    let mut command = super::namespace::in_new_namespaces("sh".as_ref());
    command.args([
        "-c",
        "mount -t tmpfs none /dev/shm && ip link add name bridge0 type bridge",
    ]);
    let tried = process::run(&mut command);
    (tried.status != 0).then(|| format!("namespaces cannot be made ({})", tried.stderr.trim()))
}
