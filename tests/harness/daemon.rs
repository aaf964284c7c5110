//! A child process of a test: its log, its signals, its end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{DEADLINE, cgroup, eventually, notes, pause};

/// Killed and reaped when dropped.
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `program` with its standard error in a file below `directory`.
    #[expect(clippy::disallowed_methods, reason = "tests start the real programs")]
    pub fn start(
        program: &str,
        args: &[&str],
        env: &[(&str, &str)],
        directory: &Path,
        name: &str,
    ) -> Daemon {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_remove("NOTIFY_SOCKET")
            // What it leaves in its temporary directory, a test can see, and ends with the test.
            .env("TMPDIR", directory)
            .envs(env.iter().copied())
            .current_dir(directory);
        Daemon::spawn(&mut command, directory, name)
    }

    /// Starts any command with its standard error in a file below `directory`.
    pub fn spawn(command: &mut Command, directory: &Path, name: &str) -> Daemon {
        let log = directory.join(format!("{name}.log"));
        let stderr = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Daemon {
            name: name.to_owned(),
            child,
            log,
        }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pid")
    }

    pub fn log(&self) -> String {
        let mut text = String::new();
        let mut file = File::open(&self.log).expect("log");
        file.seek(SeekFrom::Start(0)).expect("seek");
        file.read_to_string(&mut text).expect("log is UTF-8");
        text
    }

    /// Waits for a line with `marker` beyond the first `skip` such lines; returns what follows it.
    #[track_caller]
    pub fn await_log(&mut self, marker: &str, skip: usize) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let log = self.log();
            if let Some(line) = log.lines().filter(|line| line.contains(marker)).nth(skip) {
                let (_, rest) = line.split_once(marker).expect("marker");
                return rest.trim().to_owned();
            }
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!(
                    "{} ended with {status} before {marker:?}:\n{log}",
                    self.name
                );
            }
            assert!(Instant::now() < deadline, "no {marker:?} in:\n{log}");
            pause();
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("signal");
    }

    /// SIGKILL, and gone when this returns.
    pub fn kill9(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        eventually(&format!("{name} ends"), || {
            self.child.try_wait().expect("wait")
        })
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// SIGTERM, and the exit status.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Of an agent that runs until now; one that a test has killed is cleared by its successor.
        let part = cgroup::of_agent(self.pid());
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(part) = part {
            cgroup::remove(&part);
        }
        let log = self.log();
        if std::thread::panicking() {
            notes::add(&format!("---- {} ----\n{log}", self.name));
        } else {
            assert!(!log.contains("panicked"), "{} panicked:\n{log}", self.name);
        }
    }
}
