//! The two processes, and what they know each other by.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use flux::model::ids::AgentId;
use flux::pki::{Authority, Identity};
use flux::rpc::TlsIdentity;

use super::cost::{self, Cost};

pub const AGENT: &str = "bench";

/// The other process, until it is dropped.
pub struct Server {
    child: Child,
    answers: BufReader<ChildStdout>,
    pub address: SocketAddr,
    pub bare: SocketAddr,
    pub control: TlsIdentity,
    _directory: tempfile::TempDir,
}

impl Server {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench starts programs as it likes"
    )]
    pub fn start() -> Server {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::open_or_create(directory.path()).expect("an authority");
        let agent = AgentId::new(AGENT).expect("an id");
        let issued = authority.issue_agent_with_key(&agent).expect("issued");
        for (name, bytes) in [
            ("ca.pem", &issued.ca),
            ("certificate.pem", &issued.certificate),
            ("key.pem", &issued.key),
        ] {
            std::fs::write(directory.path().join(name), bytes).expect("written");
        }
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("--serve")
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        let line = next_line(&mut answers);
        let mut addresses = line.split_whitespace();
        let mut address = || addresses.next().expect("two").parse().expect("an address");
        Server {
            child,
            answers,
            address: address(),
            bare: address(),
            control: tls(authority.control()),
            _directory: directory,
        }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// What both processes have cost so far.
    pub fn cost_of_both(&mut self) -> Cost {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(b"\n").expect("written");
        let theirs = Cost::read(&next_line(&mut self.answers));
        cost::of_this_process() + theirs
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// As the parent has left it there.
pub fn identity_in(directory: &Path) -> TlsIdentity {
    let read = |name| std::fs::read(directory.join(name)).expect("a file of the parent's");
    TlsIdentity::new(&read("ca.pem"), &read("certificate.pem"), &read("key.pem"))
        .expect("an identity")
}

fn tls(identity: &Identity) -> TlsIdentity {
    let made = TlsIdentity::new(&identity.ca, &identity.certificate, &identity.key);
    made.expect("an identity")
}

fn next_line(answers: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).expect("a line");
    line
}
