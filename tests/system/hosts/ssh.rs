//! Commands and files over ssh: one connection a guest, kept open, so that a command costs some
//! milliseconds; the host's key is known and checked.

use std::fs::File;
use std::io::{Seek, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{cache, namespace};
use crate::harness::process::{self, Ran};

/// What ssh answers where it, and not the command, failed; and where the command itself answered so.
const SSH_FAILED: i32 = 255;

/// The way to one guest.
pub struct Ssh {
    address: Ipv4Addr,
    control: PathBuf,
}

/// Why a command has no end of its own.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    #[error("not ended after {limit:?}; stdout: {stdout:?}, stderr: {stderr:?}")]
    Overdue {
        limit: Duration,
        stdout: String,
        stderr: String,
    },
    #[error("the guest cannot be reached: {stderr}")]
    Unreachable { stderr: String },
}

impl Ssh {
    pub fn to(address: Ipv4Addr) -> Ssh {
        let control = PathBuf::from(namespace::SCRATCH).join(format!("ssh-{address}"));
        Ssh { address, control }
    }

    /// Whether something answers at the guest's port for ssh.
    pub fn answers(&self) -> bool {
        let address = SocketAddr::from((self.address, 22));
        TcpStream::connect_timeout(&address, Duration::from_millis(250)).is_ok()
    }

    /// Opens the connection that later commands share; whether that worked.
    pub fn connect(&self) -> bool {
        let mut command = self.client();
        command.args(["-M", "-N", "-f"]).arg(self.target());
        process::run(&mut command).status == 0
    }

    /// Forgets the connection, whether the guest is still there or not.
    pub fn disconnect(&self) {
        self.ask_the_connection("exit");
        // The socket of a connection that ended by itself.
        let _ = std::fs::remove_file(&self.control);
    }

    /// Runs a line of the guest's shell, with this input.
    pub fn run(&self, line: &str, input: Stdio, limit: Duration) -> Result<Ran, SshError> {
        let mut command = self.client();
        // The second line makes the shell stay, and say 128 + N for a command that a signal ended.
        let script = format!("{line}\nexit $?");
        command
            .arg(self.target())
            .arg("--")
            .arg(script)
            .stdin(input);
        let ran = process::run_within(&mut command, limit).map_err(|late| SshError::Overdue {
            limit,
            stdout: late.stdout,
            stderr: late.stderr,
        })?;
        if ran.status == SSH_FAILED && !self.ask_the_connection("check") {
            return Err(SshError::Unreachable { stderr: ran.stderr });
        }
        Ok(ran)
    }

    /// A shell for a person, on this process's own terminal.
    pub fn interactive(&self) -> Command {
        let mut command = self.client();
        command.arg("-t").arg(self.target());
        command
    }

    fn target(&self) -> String {
        format!("root@{}", self.address)
    }

    fn client(&self) -> Command {
        let mut command = process::command("ssh");
        command.args([
            "-F",
            "none",
            "-c",
            "aes128-gcm@openssh.com",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=5",
        ]);
        command.args(["-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"]);
        command.args([
            "-o",
            "ServerAliveInterval=5",
            "-o",
            "ServerAliveCountMax=24",
        ]);
        command
            .arg("-o")
            .arg(option("UserKnownHostsFile", &cache::known_hosts()));
        command.arg("-o").arg(option("ControlPath", &self.control));
        command.arg("-i").arg(cache::client_key());
        command
    }

    fn ask_the_connection(&self, what: &str) -> bool {
        let mut command = self.client();
        command.args(["-O", what]).arg(self.target());
        process::run(&mut command).status == 0
    }
}

/// Bytes as a program's input.
pub fn input(bytes: &[u8]) -> Stdio {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room for the input");
    file.rewind().expect("a file that seeks");
    Stdio::from(file)
}

/// A file of this machine as a program's input.
pub fn input_file(path: &std::path::Path) -> Stdio {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Stdio::from(file)
}

/// One word of the guest's shell, whatever is in it.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn option(name: &str, path: &std::path::Path) -> String {
    format!("{name}={}", path.display())
}
