//! What all rows share: one fleet of the real programs with one agent, and functions on it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::client::Connection;
use super::floor::Program;
use super::harness::{AgentOptions, Fleet, FleetOptions, archive_of, eventually, function_yaml};

/// More at once than the rows have clients, so that no row measures refusals.
const AGENT_YAML: &str = "limits:\n  max_executions: 64\n";
/// The crowd's connections, on both ends, and room.
const OPEN_FILES: u64 = 16_384;
/// Runs and is over; refuses what it has no room for.
pub const TRUE: &str = "true";
/// The same; waits for room.
pub const WAITING: &str = "waiting";

/// How many samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    Full,
    Quick,
}

pub struct Bench {
    pub fleet: Fleet,
    pub effort: Effort,
    /// A copy of /bin/true: the same file as the functions run.
    pub program: Program,
}

impl Bench {
    /// A fleet with its functions deployed, and nothing executed.
    pub fn start(effort: Effort) -> Bench {
        raise_open_files();
        let fleet = Fleet::with(&FleetOptions {
            agents: vec![AgentOptions {
                agent_yaml: AGENT_YAML.to_owned(),
                ..AgentOptions::default()
            }],
            ..FleetOptions::default()
        });
        let binary = fs::read("/bin/true").expect("/bin/true");
        let archive = archive_of(&[("run", &binary, true)]);
        for (name, behavior) in [(TRUE, "exit"), (WAITING, "wait")] {
            let yaml = format!("max_concurrency: 64\nmax_concurrency_behavior: {behavior}\n");
            deploy(&fleet, name, &yaml, &archive);
        }
        let copy = fleet.directory().join("true");
        fs::copy("/bin/true", &copy).expect("a copy");
        Bench {
            program: Program::new(&copy, &[]),
            fleet,
            effort,
        }
    }

    /// Of the HTTP API; another one after a restart.
    pub fn address(&self) -> SocketAddr {
        let address = self.fleet.api.url.strip_prefix("http://").expect("http");
        address.parse().expect("an address")
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    /// The number for a full run, or the one for a quick one.
    pub fn choose<T>(&self, full: T, quick: T) -> T {
        match self.effort {
            Effort::Full => full,
            Effort::Quick => quick,
        }
    }

    pub fn flux_pid(&self) -> i32 {
        self.fleet.flux.pid()
    }

    pub fn agent_pid(&self) -> i32 {
        self.fleet.agents[0].daemon.pid()
    }

    pub fn certs_dir(&self) -> PathBuf {
        self.fleet.directory().join("certs")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.fleet.directory().join("state")
    }

    /// Until nothing runs or waits any more, so that one row does not weigh on the next.
    pub fn settle(&self) {
        let id = &self.fleet.agents[0].id;
        eventually("every execution has ended", || {
            let agent = self.fleet.agent(id)?;
            (agent["active_count"] == 0).then_some(())
        });
    }
}

/// Registers and deploys.
pub fn deploy(fleet: &Fleet, name: &str, yaml: &str, archive: &[u8]) {
    let api = &fleet.api;
    api.put("/functions", function_yaml(name, yaml).as_bytes())
        .expect(201);
    api.put(&format!("/deploy/{name}"), archive).expect(200);
}

/// Between two looks at something that changes by itself.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark has no token to wait on"
)]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// For this process and the daemons, which inherit it.
fn raise_open_files() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("getrlimit");
    let wanted = OPEN_FILES.min(hard);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).expect("setrlimit");
    }
}
