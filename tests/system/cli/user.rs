//! Somebody at a shell: a home of their own, an empty environment, and `flux` on the path.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::fleet::{API_KEY, FLUX, fs_write, run};
use crate::harness::{DEADLINE, Daemon, Fleet, cgroup, eventually, pause};

/// `nobody` and `nogroup`, whom every Debian has.
const ORDINARY: u32 = 65534;

pub struct User {
    home: TempDir,
    program: PathBuf,
    id: Option<u32>,
    env: Vec<(String, String)>,
}

impl User {
    /// Whoever runs the tests.
    pub fn new() -> User {
        let home = tempfile::Builder::new()
            .prefix("flux-cli-")
            .tempdir()
            .expect("tempdir");
        // Functions run as another user where the tests run as root.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        User {
            home,
            program: PathBuf::from(FLUX),
            id: None,
            env: Vec::new(),
        }
    }

    /// Somebody without rights; whoever runs the tests where that is no root.
    pub fn ordinary() -> User {
        let mut user = User::new();
        if Uid::effective().is_root() {
            chown(user.home.path(), Some(ORDINARY), Some(ORDINARY)).expect("chown");
            // The build directory may lie where only root can enter.
            user.program = user.path("flux");
            // By another process: a child of a test beside this one would inherit the descriptor
            // that writes the program, which then cannot be started (ETXTBSY).
            run("cp", &[FLUX, &user.program.display().to_string()]);
            user.id = Some(ORDINARY);
        }
        user
    }

    /// With the fleet's address and key in the environment.
    pub fn of(fleet: &Fleet) -> User {
        User::new()
            .with("FLUX_URL", &fleet.api.url)
            .with("FLUX_API_KEY", API_KEY)
    }

    pub fn with(mut self, name: &str, value: &str) -> User {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    /// A file of theirs; returns its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs_write(&path, text);
        path.display().to_string()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        // As in a terminal: a test run that a shell started in the background ignores SIGINT, and
        // hands that on.
        let mut command = Command::new("/usr/bin/env");
        command
            .arg("--default-signal=INT")
            .arg(&self.program)
            .args(args)
            .current_dir(self.home())
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        if let Some(id) = self.id {
            command.uid(id).gid(id);
        }
        command
    }

    /// Runs `flux` to its end.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        self.start(args, Stdio::null()).end()
    }

    /// Runs `flux --json …`, which has to succeed, and parses all that it printed.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = std::iter::once("--json")
            .chain(args.iter().copied())
            .collect();
        self.run(&args).exits(0).json()
    }

    #[track_caller]
    pub fn run_with_stdin(&self, args: &[&str], stdin: &[u8]) -> Ran {
        let mut running = self.start(args, Stdio::piped());
        let mut input = running.child.stdin.take().expect("a pipe");
        // A refusal ends flux before it reads anything.
        if let Err(error) = input.write_all(stdin) {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
        drop(input);
        running.end()
    }

    /// Starts `flux` with pipes on both outputs.
    pub fn start(&self, args: &[&str], stdin: Stdio) -> Running {
        Running::start(self.command(args).stdin(stdin), args)
    }

    /// A directory with a function whose handler is a shell script; returns its path.
    pub fn function(&self, name: &str, yaml: &str, script: &str) -> String {
        let directory = self.path(name);
        fs::create_dir_all(&directory).expect("mkdir");
        let text = format!("name: {name}\nhandler: run.sh\n{yaml}");
        fs_write(&directory.join("function.yaml"), &text);
        let handler = directory.join("run.sh");
        let script = if script.starts_with("#!") {
            script.to_owned()
        } else {
            format!("#!/bin/sh\n{script}\n")
        };
        fs_write(&handler, &script);
        fs::set_permissions(&handler, fs::Permissions::from_mode(0o755)).expect("chmod");
        directory.display().to_string()
    }

    /// Writes a function and deploys it.
    #[track_caller]
    pub fn deploy(&self, name: &str, yaml: &str, script: &str) {
        let directory = self.function(name, yaml, script);
        self.run(&["deploy", &directory]).exits(0);
    }

    /// Starts an execution in the background; returns its id.
    #[track_caller]
    pub fn exec_async(&self, args: &[&str]) -> String {
        let args: Vec<&str> = ["exec", "--async"]
            .iter()
            .copied()
            .chain(args.iter().copied())
            .collect();
        self.run(&args).exits(0).stdout().trim().to_owned()
    }

    /// Waits until the execution's record says so.
    #[track_caller]
    pub fn await_record(&self, id: &str, key: &str, value: &Value) -> Value {
        eventually(&format!("{id}: {key} is {value}"), || {
            let record = self.json(&["execution", id]);
            (record[key] == *value).then_some(record)
        })
    }
}

/// `flux` under way; killed when dropped.
pub struct Running {
    name: String,
    pub child: Child,
}

impl Running {
    /// With pipes on both outputs; without standard input unless `command` says otherwise.
    pub fn start(command: &mut Command, args: &[&str]) -> Running {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        Running {
            name: format!("{args:?}"),
            child,
        }
    }

    /// One line of what it prints, as soon as it does.
    #[track_caller]
    pub fn line(&mut self) -> String {
        line(self.child.stdout.as_mut().expect("a pipe"))
    }

    /// One line of its standard error.
    #[track_caller]
    pub fn remark(&mut self) -> String {
        line(self.child.stderr.as_mut().expect("a pipe"))
    }

    pub fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).expect("signalled");
    }

    /// Waits for its end; what was read already is not in the answer.
    #[track_caller]
    pub fn end(mut self) -> Ran {
        let mut stderr = self.child.stderr.take().expect("a pipe");
        let mut stdout = self.child.stdout.take().expect("a pipe");
        let (mut errors, mut output) = (Vec::new(), Vec::new());
        let child = &mut self.child;
        let status = std::thread::scope(|scope| {
            scope.spawn(|| stderr.read_to_end(&mut errors).expect("read"));
            scope.spawn(|| stdout.read_to_end(&mut output).expect("read"));
            let deadline = Instant::now() + DEADLINE;
            loop {
                if let Some(status) = child.try_wait().expect("wait") {
                    return Some(status);
                }
                if Instant::now() >= deadline {
                    // Its end closes the pipes, which the readers wait for.
                    child.kill().expect("kill");
                    return None;
                }
                pause();
            }
        });
        let errors = String::from_utf8(errors).expect("UTF-8");
        let Some(status) = status else {
            panic!("{} does not end\n{errors}", self.name);
        };
        Ran {
            name: self.name.clone(),
            code: status.code(),
            stdout: output,
            stderr: errors,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).expect("pid");
        let part = cgroup::of_agent(pid);
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(part) = part {
            cgroup::remove(&part);
        }
    }
}

/// Byte by byte: a buffer would swallow what the next reader is to see.
#[track_caller]
fn line(pipe: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while pipe.read(&mut byte).expect("read") == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).expect("UTF-8")
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    name: String,
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{}\n{}", self.name, self.text());
        self
    }

    /// Its standard error contains all of these.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Ran {
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "{}: no {part:?}\n{}",
                self.name,
                self.text()
            );
        }
        self
    }

    pub fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("UTF-8")
    }

    /// Its whole standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: no JSON ({error}): {}", self.name, self.text()))
    }

    fn text(&self) -> String {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let shown: String = stdout.chars().take(2000).collect();
        format!("---- stdout\n{shown}\n---- stderr\n{}", self.stderr)
    }
}

/// `flux dev` with a user, on a free port.
pub struct Dev {
    // Ended before the home goes.
    pub daemon: Daemon,
    pub user: User,
    starts: usize,
    cgroup: Option<PathBuf>,
}

impl Drop for Dev {
    /// Its agent may have been killed without a successor to clear its cgroup.
    fn drop(&mut self) {
        self.daemon.kill9();
        if let Some(cgroup) = &self.cgroup {
            cgroup::remove(cgroup);
        }
    }
}

impl Dev {
    pub fn start() -> Dev {
        Dev::of(User::new())
    }

    pub fn of(user: User) -> Dev {
        let daemon = dev(&user, 0);
        Dev {
            cgroup: cgroup::of_agent(daemon.pid()),
            daemon,
            user,
            starts: 1,
        }
    }

    /// Again, after it has ended.
    #[track_caller]
    pub fn restart(&mut self) {
        self.daemon = dev(&self.user, self.starts);
        self.starts += 1;
    }

    /// Where the API is.
    pub fn url(&self) -> String {
        let log = self.daemon.log();
        let line = log
            .lines()
            .rfind(|line| line.contains(READY))
            .expect("ready");
        line.rsplit(' ').next().expect("an address").to_owned()
    }
}

const READY: &str = "ready at ";

/// Root's own default would be one place for all tests.
pub fn state_dir(user: &User) -> String {
    user.path("state").display().to_string()
}

#[track_caller]
fn dev(user: &User, starts: usize) -> Daemon {
    let mut args = vec!["dev", "--listen", "127.0.0.1:0"];
    let state_dir = state_dir(user);
    if user.id.is_none() {
        args.extend(["--state-dir", &state_dir]);
    }
    let mut daemon = Daemon::spawn(&mut user.command(&args), user.home(), "dev");
    daemon.await_log("Ctrl-C ends it", starts);
    daemon
}

/// Processes of which an argument is `marker`.
pub fn processes_with(marker: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            // A process that ends meanwhile is none.
            let line = fs::read(path.join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(marker)
                .then(|| format!("{}: {line}", path.display()))
        })
        .collect()
}

/// A number that no other process has as an argument, for `sleep` to sleep as long.
pub fn unique_sleep() -> String {
    let mut bytes = [0; 4];
    openssl::rand::rand_bytes(&mut bytes).expect("random");
    format!("1{}", u32::from_be_bytes(bytes))
}

/// Lets a script go on that waits for the file `name` in its working directory; `pid` is its own.
pub fn release(pid: &str, name: &str) {
    fs_write(&PathBuf::from(format!("/proc/{pid}/cwd")).join(name), "");
}
