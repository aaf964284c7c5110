//! Programs of the system that belong to root and act for others.
//!
//! Success of each means that it acted as root; none changes anything that matters.

use std::path::Path;

use crate::attempt::{Attempt, Finding};
use crate::system::program;
use crate::told::Told;

/// Name, program, arguments. Each succeeds as root.
const PROGRAMS: [(&str, &str, &[&str]); 12] = [
    ("program.su", "/usr/bin/su", &["-c", "true"]),
    ("program.sudo", "/usr/bin/sudo", &["-n", "true"]),
    ("program.passwd", "/usr/bin/passwd", &["-S", "root"]),
    ("program.chage", "/usr/bin/chage", &["-l", "root"]),
    ("program.mount", "/usr/bin/mount", &["--make-private", "/"]),
    ("program.unshare", "/usr/bin/unshare", &["-Ur", "true"]),
    ("program.chroot", "/usr/sbin/chroot", &["/", "/bin/true"]),
    (
        "program.setpriv",
        "/usr/bin/setpriv",
        &["--reuid", "0", "--clear-groups", "true"],
    ),
    (
        "program.systemd_run",
        "/usr/bin/systemd-run",
        &["--no-ask-password", "--quiet", "--wait", "true"],
    ),
    (
        "program.systemctl",
        "/usr/bin/systemctl",
        &["--no-ask-password", "daemon-reload"],
    ),
    (
        "program.loginctl",
        "/usr/bin/loginctl",
        &["--no-ask-password", "enable-linger"],
    ),
    (
        "program.hostnamectl",
        "/usr/bin/hostnamectl",
        &["--no-ask-password", "set-chassis", "vm"],
    ),
];

/// See the module's text.
pub fn attempts(_told: &'static Told) -> Vec<Attempt> {
    PROGRAMS
        .iter()
        .map(|(name, path, arguments)| Attempt::new(*name, || by(path, arguments)))
        .collect()
}

fn by(path: &str, arguments: &[&str]) -> Finding {
    if !Path::new(path).exists() {
        return Finding::Skipped(format!("{path} is not installed"));
    }
    match program(path, arguments) {
        None => Finding::Denied(format!("{path} cannot be executed")),
        Some((Some(0), _)) => Finding::Escaped(format!("{path} did it")),
        Some((code, printed)) => {
            let words: String = printed.trim().chars().take(100).collect();
            Finding::Denied(format!("{code:?} {words}"))
        }
    }
}
