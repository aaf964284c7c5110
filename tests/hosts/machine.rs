//! One guest: Debian 12 with systemd under User-Mode Linux, as an ordinary process of this run.
//!
//! Invariants: its disk is a copy on write of the cached one, so nothing that it does reaches another
//! guest or another run; its processes are one process group, which ends when the value is dropped; a
//! guest that is dropped by a failing test leaves its console and its journal in [`crate::logs`] first.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::network::{self, Port};
use crate::process::{self, PATIENCE, Ran};
use crate::ssh::{self, Ssh, SshError};
use crate::{cache, logs, namespace};

/// Memory of a guest, as its kernel takes it. What it does not touch costs nothing.
const MEMORY: &str = "512M";
/// From power to the last unit started; idle machines take a tenth.
const BOOT_LIMIT: Duration = Duration::from_secs(180);

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
        use std::os::unix::fs::PermissionsExt;
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

    /// The orderly way down and up again; everything on the disk is kept.
    #[track_caller]
    pub fn reboot(&mut self) {
        self.power_off();
        self.boot();
    }

    /// The orderly way down: units are stopped, file systems unmounted.
    #[track_caller]
    pub fn power_off(&mut self) {
        // The connection may break before the command has an end.
        let _ = self.ssh.run("systemctl poweroff", Stdio::null(), PATIENCE);
        self.ssh.disconnect();
        let mut kernel = self.kernel.take().expect("a guest that is up");
        let ended = process::wait(&mut kernel, PATIENCE);
        end_group(&mut kernel);
        assert!(
            ended.is_some(),
            "{} did not power off:\n{}",
            self.name,
            self.console()
        );
    }

    /// As if the plug was pulled: what the guest had not written to its disk is lost.
    pub fn cut_power(&mut self) {
        if let Some(mut kernel) = self.kernel.take() {
            end_group(&mut kernel);
        }
        self.ssh.disconnect();
    }

    /// Up again after [`Machine::power_off`] or [`Machine::cut_power`], with the same disk and address.
    #[track_caller]
    pub fn boot(&mut self) {
        assert!(self.kernel.is_none(), "{} is up", self.name);
        self.kernel = Some(self.power_on());
        let deadline = Instant::now() + BOOT_LIMIT;
        while !(self.ssh.answers() && self.ssh.connect()) {
            self.expect_on_the_way(deadline);
            process::pause(Duration::from_millis(100));
        }
        // "degraded" is the business of whoever installed the unit that failed.
        self.run_within("systemctl is-system-running --wait", BOOT_LIMIT);
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

    fn power_on(&self) -> Child {
        let console = File::options()
            .create(true)
            .append(true)
            .open(self.place.join("console.log"))
            .expect("a console log");
        process::command(cache::kernel())
            .args(self.kernel_line())
            .env("TMPDIR", namespace::SCRATCH)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(console.try_clone().expect("another descriptor"))
            .stderr(console)
            .spawn()
            .expect("the guests' kernel")
    }

    /// The machine's parts, then what the guest's kernel and systemd read.
    fn kernel_line(&self) -> Vec<String> {
        let place = self.place.display();
        let Port { tap, address, mac } = &self.port;
        [
            format!("umid={}", self.name),
            format!("uml_dir={place}/"),
            format!("mem={MEMORY}"),
            format!("ubda={place}/disk.cow,{}", cache::disk().display()),
            format!("vec0:transport=tap,ifname={tap},depth=128,gro=1,mac={mac}"),
            "con=null con0=null,fd:1 con1=null ssl=null".to_owned(),
            "root=/dev/ubda rw".to_owned(),
            format!("systemd.hostname={}", self.name),
            format!(
                "systemd.machine_id={:032x}",
                0xf1u32 + u32::from(self.number)
            ),
            format!("flux.address={address}/24"),
        ]
        .iter()
        .flat_map(|words| words.split(' '))
        .map(str::to_owned)
        .collect()
    }

    #[track_caller]
    fn expect_on_the_way(&mut self, deadline: Instant) {
        let kernel = self.kernel.as_mut().expect("a guest that was started");
        let ended = kernel.try_wait().expect("a child of ours");
        assert!(
            ended.is_none() && Instant::now() < deadline,
            "{} did not come up (its process: {ended:?}); its console ends with:\n{}",
            self.name,
            logs::tail(&self.console(), 40)
        );
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

/// Ends what is left of a guest's processes, and reaps the first of them.
fn end_group(kernel: &mut Child) {
    let group = Pid::from_raw(i32::try_from(kernel.id()).expect("a process id"));
    // Nothing is left after an orderly end.
    let _ = killpg(group, Signal::SIGKILL);
    let _ = kernel.wait();
}
