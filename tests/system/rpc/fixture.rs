//! Servers and clients around a scripted worker, and what they say to one another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use flux::agent::serve::service::Serving;
use flux::base::clock::{Clock, Timestamp};
use flux::base::threads::Supervisor;
use flux::model::execution::{Ending, Executed, ExecutionRecord};
use flux::model::ids::{AgentId, ExecutionId, FunctionName};
use flux::pki::{Authority, Identity};
use flux::rpc::execute::PendingExecution;
use flux::rpc::limits::Keepalive;
use flux::rpc::server::ServerError;
use flux::rpc::tls::ServerIdentity;
use flux::rpc::{AgentClient, Channels, RpcError, TlsIdentity};
use flux::wire::execute::{ExecuteRequest, Protocol};

use super::double::{Seen, double};
use crate::harness::eventually;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn id(text: &str) -> AgentId {
    AgentId::new(text).unwrap()
}

pub fn execution(text: &str) -> ExecutionId {
    ExecutionId::new(text).unwrap()
}

pub fn function(text: &str) -> FunctionName {
    FunctionName::new(text).unwrap()
}

pub fn request(function_name: &str) -> ExecuteRequest {
    ExecuteRequest {
        id: ExecutionId::generate(),
        function: function(function_name),
        args: vec!["a".into(), "b".into()],
        stdin: b"in".to_vec(),
        env: [("K".to_owned(), "v".to_owned())].into(),
        asynchronous: false,
        protocol: Protocol::Flux,
        timeout: None,
        version: Some(3),
        queued: Duration::from_millis(9),
        config_digest: Some("digest".into()),
    }
}

/// For calls that want to know.
pub fn now() -> Timestamp {
    Clock::system().now()
}

pub fn record(
    agent: &AgentId,
    request: &ExecuteRequest,
    ending: Option<Ending>,
) -> ExecutionRecord {
    ExecutionRecord {
        ending,
        status_at: Timestamp::from_millis(1_250),
        duration: Duration::from_millis(250),
        queued: request.queued,
        stdout_bytes: 1,
        stderr_bytes: 2,
        ..ExecutionRecord::accepted(
            request.id.clone(),
            agent.clone(),
            request.function.clone(),
            3,
            Timestamp::from_millis(1_000),
        )
    }
}

/// Of an execution that was asked about by its id alone.
pub fn ended_record(agent: &AgentId, ending: Option<Ending>) -> ExecutionRecord {
    ExecutionRecord {
        ending,
        ..ExecutionRecord::accepted(
            execution("ended"),
            agent.clone(),
            function("echo"),
            3,
            now(),
        )
    }
}

/// A fleet's certificates.
pub struct Certificates {
    pub directory: tempfile::TempDir,
    pub authority: Authority,
}

impl Certificates {
    pub fn new() -> Certificates {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(directory.path()).unwrap();
        Certificates {
            directory,
            authority,
        }
    }

    pub fn agent(&self, agent: &AgentId) -> TlsIdentity {
        tls(&self.authority.issue_agent_with_key(agent).unwrap())
    }

    pub fn control(&self) -> TlsIdentity {
        tls(self.authority.control())
    }
}

pub fn tls(identity: &Identity) -> TlsIdentity {
    TlsIdentity::new(&identity.ca, &identity.certificate, &identity.key).unwrap()
}

/// A served double. Fields drop in order: the server before what its worker uses.
pub struct Agent {
    pub serving: Option<Serving>,
    pub identity: Option<Arc<ServerIdentity>>,
    pub seen: Receiver<Seen>,
    pub supervisor: Supervisor,
    pub address: String,
}

impl Agent {
    pub fn start(agent: &AgentId, identity: Option<TlsIdentity>) -> Agent {
        Agent::start_with(agent, identity, Keepalive::default())
    }

    pub fn start_with(
        agent: &AgentId,
        identity: Option<TlsIdentity>,
        keepalive: Keepalive,
    ) -> Agent {
        Agent::listen("127.0.0.1:0", agent, identity, keepalive).unwrap()
    }

    /// Where another one was. Its socket may be there for a moment longer: in a child of another test, between
    /// fork and exec.
    pub fn start_at(address: &str, agent: &AgentId, identity: Option<&TlsIdentity>) -> Agent {
        eventually("the address is free", || {
            let keepalive = Keepalive::default();
            Agent::listen(address, agent, identity.cloned(), keepalive).ok()
        })
    }

    fn listen(
        address: &str,
        agent: &AgentId,
        identity: Option<TlsIdentity>,
        keepalive: Keepalive,
    ) -> Result<Agent, ServerError> {
        let (sender, seen) = unbounded();
        let supervisor = Supervisor::new();
        let double = double(agent, &supervisor, sender);
        let identity = identity.map(|identity| Arc::new(ServerIdentity::new(identity)));
        let address: SocketAddr = address.parse().unwrap();
        let served = identity.clone();
        let serving = Serving::start(address, served, double, &supervisor, keepalive)?;
        Ok(Agent {
            address: serving.address().to_string(),
            serving: Some(serving),
            identity,
            seen,
            supervisor,
        })
    }

    pub fn next_seen(&self) -> Seen {
        self.seen
            .recv_timeout(PATIENCE)
            .expect("the worker is asked")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.serving = None;
        if !std::thread::panicking() {
            assert_eq!(self.supervisor.first_panic(), None);
        }
    }
}

/// What a call comes to by then; `None` while it runs on.
pub fn answer_within(
    pending: &PendingExecution,
    time: Duration,
) -> Option<Result<Executed, RpcError>> {
    let (trigger, cancel) = flux::base::cancel::pair();
    std::thread::scope(|scope| {
        let (over, is_over) = crossbeam_channel::bounded::<()>(0);
        scope.spawn(move || {
            let _ = is_over.recv_timeout(time);
            trigger.pull();
        });
        let answer = pending.wait(&cancel);
        drop(over);
        answer
    })
}

/// An agent with TLS, and a client on it.
pub struct Pair {
    pub client: AgentClient,
    pub channels: Channels,
    pub agent: Agent,
    pub certificates: Certificates,
}

pub fn pair() -> Pair {
    let certificates = Certificates::new();
    let name = id("agent-1");
    let agent = Agent::start(&name, Some(certificates.agent(&name)));
    let channels = Channels::new(Some(certificates.control()), &Supervisor::new());
    let client = channels.client(&name, &agent.address, true).unwrap();
    Pair {
        client,
        channels,
        agent,
        certificates,
    }
}

pub fn within<T>(bound: Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    assert!(took < bound, "took {took:?} instead of less than {bound:?}");
    result
}
