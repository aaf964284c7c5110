//! One guest: Debian 12 with systemd under User-Mode Linux, as an ordinary process of this run.
//!
//! Invariants: its disk is a copy on write of the cached one, so nothing that it does reaches another
//! guest or another run; its processes are one process group, which ends when the value is dropped; a
//! guest that is dropped by a failing test leaves its console and its journal in [`super::logs`] first.

mod power;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::network::{self, Port};
use super::ssh::{self, Ssh, SshError};
use super::{logs, namespace};
use crate::harness::process::{self, PATIENCE, Ran};

/// A guest that is up, unless a test has put it down.
pub struct Machine {
    name: String,
    number: u8,
    port: Port,
    place: PathBuf,
    ssh: Ssh,
    kernel: Option<Child>,
}

impl Machine {
    /// A new guest of this name, up; `number` is its own among all that the run has had.
    pub fn start(name: &str, number: u8) -> Machine {
        let place = PathBuf::from(namespace::SCRATCH).join(format!("{name}-{number}"));
        fs::create_dir(&place).expect("a guest's directory");
        let port = network::attach(number);
        let mut machine = Machine {
            name: name.to_owned(),
            number,
            ssh: Ssh::to(port.address),
            port,
            place,
            kernel: None,
        };
        machine.boot();
        machine
    }

    /// Where the test and the other guests reach it.
    pub fn address(&self) -> Ipv4Addr {
        self.port.address
    }

    /// Runs a line of shell as root; panics only where it does not end within a minute.
    #[track_caller]
    pub fn run(&self, line: &str) -> Ran {
        self.run_within(line, PATIENCE)
    }

    /// The same, with a limit of its own.
    #[track_caller]
    pub fn run_within(&self, line: &str, limit: Duration) -> Ran {
        self.done(line, self.ssh.run(line, Stdio::null(), limit))
    }

    /// Runs a line of shell as root, and returns its standard output without the last line's end;
    /// panics with all that it said where it fails.
    #[track_caller]
    pub fn succeed(&self, line: &str) -> String {
        let ran = self.run(line);
        self.expect_success(line, &ran);
        ran.stdout.trim_end().to_owned()
    }

    /// Repeats a line of shell until it succeeds, for a minute at most.
    #[track_caller]
    pub fn wait_until(&self, line: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ran = self.run(line);
            if ran.status == 0 {
                return ran.stdout.trim_end().to_owned();
            }
            if Instant::now() >= deadline {
                self.expect_success(line, &ran);
            }
            process::pause(Duration::from_millis(100));
        }
    }

    /// A file with these contents and permission bits, its directories made where they are missing.
    #[track_caller]
    pub fn put(&self, path: &str, contents: impl AsRef<[u8]>, mode: u32) {
        self.receive(path, ssh::input(contents.as_ref()), mode);
    }

    /// A file of this machine, with its permission bits.
    #[track_caller]
    pub fn copy(&self, local: &Path, remote: &str) {
        let metadata = fs::metadata(local).unwrap_or_else(|e| panic!("{}: {e}", local.display()));
        let mode = metadata.permissions().mode() & 0o7777;
        self.receive(remote, ssh::input_file(local), mode);
    }

    /// What a file of the guest holds, as text.
    #[track_caller]
    pub fn fetch(&self, path: &str) -> String {
        let line = format!("cat {}", ssh::quoted(path));
        let ran = self.run(&line);
        self.expect_success(&line, &ran);
        ran.stdout
    }

    /// Everything that the guest's kernel and systemd said on the console, over all boots.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.place.join("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A shell for a person, on this process's terminal.
    pub fn interactive(&self) -> std::process::Command {
        self.ssh.interactive()
    }

    #[track_caller]
    fn receive(&self, path: &str, contents: Stdio, mode: u32) {
        let (path, part) = (ssh::quoted(path), ssh::quoted(&format!("{path}.part")));
        let line = format!(
            "mkdir -p \"$(dirname {path})\" && cat >{part} && chmod {mode:o} {part} && mv {part} {path}"
        );
        let ran = self.done(&line, self.ssh.run(&line, contents, PATIENCE));
        self.expect_success(&line, &ran);
    }

    #[track_caller]
    fn done(&self, line: &str, ran: Result<Ran, SshError>) -> Ran {
        ran.unwrap_or_else(|error| panic!("{}: {line:?}: {error}", self.name))
    }

    #[track_caller]
    fn expect_success(&self, line: &str, ran: &Ran) {
        assert!(
            ran.status == 0,
            "{}: {line:?} failed with {}\n{}{}",
            self.name,
            ran.status,
            ran.stdout,
            ran.stderr
        );
    }

    fn keep_logs(&self) {
        logs::keep(&self.name, "console", &self.console());
        if self.kernel.is_none() {
            return;
        }
        let line = "journalctl --no-pager --output=short-precise";
        match self.ssh.run(line, Stdio::null(), PATIENCE) {
            Ok(ran) => logs::keep(&self.name, "journal", &ran.stdout),
            Err(error) => logs::keep(&self.name, "journal", &error.to_string()),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_logs();
        }
        self.cut_power();
        // Memory, until the run ends; nothing worse.
        let _ = fs::remove_dir_all(&self.place);
    }
}
