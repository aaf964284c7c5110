//! What nobody can beat here: bare process starts, bare gRPC calls, bare fsyncs.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use flux::base::threads::Supervisor;
use flux::model::ids::AgentId;
use flux::pki::Authority;
use flux::rpc::{AgentClient, Channels, TlsIdentity};
use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};

use super::harness::fleet::Agent;

const STDOUT: i32 = 1;

/// A program to start and wait for, with nothing around it.
pub struct Program {
    argv: Vec<CString>,
    quiet: bool,
}

impl Program {
    pub fn new(path: &Path, args: &[&str]) -> Program {
        let program = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
        let args = args.iter().map(|arg| CString::new(*arg).expect("no NUL"));
        Program {
            argv: std::iter::once(program).chain(args).collect(),
            quiet: false,
        }
    }

    /// What it prints goes nowhere.
    pub fn quiet(self) -> Program {
        Program {
            quiet: true,
            ..self
        }
    }

    /// `posix_spawn` and `waitpid`; how long both took.
    pub fn run(&self) -> Duration {
        const NO_ENVIRONMENT: [&CStr; 0] = [];
        let mut actions = PosixSpawnFileActions::init().expect("file actions");
        if self.quiet {
            actions
                .add_open(STDOUT, "/dev/null", OFlag::O_WRONLY, Mode::empty())
                .expect("file actions");
        }
        let attributes = PosixSpawnAttr::init().expect("attributes");
        let begun = Instant::now();
        let pid = posix_spawn(
            self.argv[0].as_c_str(),
            &actions,
            &attributes,
            &self.argv,
            &NO_ENVIRONMENT,
        )
        .expect("posix_spawn");
        let status = waitpid(pid, None).expect("waitpid");
        let elapsed = begun.elapsed();
        assert_eq!(status, WaitStatus::Exited(pid, 0));
        elapsed
    }
}

/// Unary calls to the fleet's own agent, with the control plane's own certificate, over mTLS.
pub struct Unary {
    client: AgentClient,
    _channels: Channels,
}

impl Unary {
    pub fn connect(certs_dir: &Path, agent: &Agent) -> Unary {
        let authority = Authority::open_or_create(certs_dir).expect("the fleet's authority");
        let identity = authority.control();
        let identity = TlsIdentity::new(&identity.ca, &identity.certificate, &identity.key)
            .expect("the control plane's identity");
        let channels = Channels::new(Some(identity), &Supervisor::new());
        let id = AgentId::new(&agent.id).expect("id");
        let client = channels
            .client(&id, &agent.address, true)
            .expect("a channel");
        client.health().expect("the agent answers");
        Unary {
            client,
            _channels: channels,
        }
    }

    /// One `HealthCheck`, the least that the agent can be asked.
    pub fn run(&self) -> Duration {
        let begun = Instant::now();
        self.client.health().expect("health");
        begun.elapsed()
    }
}

/// A file that grows by a record and is synced, as a log of accepted work would be.
pub struct SyncedFile(File);

impl SyncedFile {
    pub fn create(path: &Path) -> SyncedFile {
        SyncedFile(
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .expect("file"),
        )
    }

    pub fn run(&mut self) -> Duration {
        /// About what one accepted execution takes.
        const RECORD: [u8; 512] = [b'.'; 512];
        let begun = Instant::now();
        self.0.write_all(&RECORD).expect("append");
        self.0.sync_all().expect("fsync");
        begun.elapsed()
    }
}
