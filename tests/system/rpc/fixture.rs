//! A worker that does what the function's or execution's name says, and servers and clients
//! around it.

use std::io::Read;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use flux::agent::serve::service::Serving;
use flux::agent::serve::worker_api::{OnDone, Worker, WorkerError};
use flux::base::cancel::Cancel;
use flux::base::clock::{Clock, Timestamp};
use flux::base::threads::{Joined, Supervisor};
use flux::model::ends::{Ended, EndedOutput, Ends, Mark, Settled};
use flux::model::enforced::Enforced;
use flux::model::execution::{Ending, Executed, ExecutionRecord};
use flux::model::ids::{AgentId, ExecutionId, FunctionName};
use flux::model::output::{Output, OutputChunk, Stream};
use flux::model::resources::NodeStatus;
use flux::pki::{Authority, Identity};
use flux::rpc::client::Health;
use flux::rpc::tls::ServerIdentity;
use flux::rpc::{AgentClient, Channels, TlsIdentity};
use flux::wire::ends::{EndsQuery, SettleQuery};
use flux::wire::error::ErrorKind;
use flux::wire::execution::{CancelOutcome, DrainState, ExecuteRequest, ExecutionQuery, Protocol};
use flux::wire::function::{HeldFunction, ReceivedConfig, ReleaseHeader};
use flux::wire::node::NodeReport;
use flux::wire::output::{FollowEvent, OutputPiece, OutputQuery};
use flux::wire::watch::WatchEvent;

pub const BIG: usize = 20 << 20;
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

/// What the worker was asked to do, for the test to see.
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

pub enum Seen {
    Held(ExecuteRequest, OnDone),
    Registered(ReceivedConfig),
    Installed(ReleaseHeader, Vec<u8>),
    Removed(FunctionName),
    Cancelled(ExecutionId),
    Read(OutputQuery),
    Listed(ExecutionQuery),
    Drained(bool),
    Kept(Mark),
    FollowerLeft,
}

pub struct Double {
    pub agent: AgentId,
    supervisor: Supervisor,
    threads: Mutex<Vec<Joined>>,
    seen: Sender<Seen>,
}

impl Double {
    fn on_thread(&self, job: impl FnOnce() + Send + 'static) {
        let thread = self.supervisor.spawn("execution", job).unwrap();
        self.threads.lock().unwrap().push(thread);
    }

    fn see(&self, seen: Seen) {
        // The test may have ended.
        let _ = self.seen.send(seen);
    }
}

/// What the agent remarks on every registration and release.
pub const REMARK: &str = "it will not run here";

impl Worker for Double {
    fn register_function(&self, config: ReceivedConfig) -> Result<String, WorkerError> {
        self.see(Seen::Registered(config));
        Ok(REMARK.to_owned())
    }

    fn install_release(
        &self,
        header: ReleaseHeader,
        archive: &mut dyn Read,
    ) -> Result<String, WorkerError> {
        if header.function.as_str() == "unwanted" {
            return Err(WorkerError::new(ErrorKind::Storage, &header.function));
        }
        let mut bytes = Vec::new();
        archive.read_to_end(&mut bytes).map_err(|error| {
            WorkerError::new(ErrorKind::ArchiveRefused, &header.function).because(error)
        })?;
        self.see(Seen::Installed(header, bytes));
        Ok(REMARK.to_owned())
    }

    fn remove_function(&self, function: &FunctionName) -> Result<(), WorkerError> {
        self.see(Seen::Removed(function.clone()));
        Ok(())
    }

    fn list_functions(&self) -> Result<Vec<HeldFunction>, WorkerError> {
        Ok(vec![HeldFunction {
            name: function("echo"),
            config_digest: "digest".into(),
            code: None,
        }])
    }

    fn execute(&self, request: ExecuteRequest, on_done: OnDone) -> Result<(), WorkerError> {
        let agent = self.agent.clone();
        let name = request.function.as_str().to_owned();
        if let Some(kind) = name.strip_prefix("refuse-") {
            let kind = ErrorKind::ALL[kind.parse::<usize>().unwrap()];
            return Err(WorkerError::new(kind, &request.function));
        }
        let done = move |ending, output: Vec<u8>| {
            let record = record(&agent, &request, ending);
            let output = Output::of_stdout(output);
            Ok(Executed { record, output })
        };
        match name.as_str() {
            "echo" => self.on_thread(move || on_done(done(Some(Ending::Exited(0)), b"ab".into()))),
            "fails" => self.on_thread(move || on_done(done(Some(Ending::Exited(3)), b"no".into()))),
            "big" => {
                let output: Vec<u8> = (0..BIG).map(|i| (i % 251) as u8).collect();
                self.on_thread(move || on_done(done(Some(Ending::Exited(0)), output)));
            }
            "accept" => self.on_thread(move || on_done(done(None, Vec::new()))),
            // Against the contract: from the thread that must not block.
            "inline" => on_done(done(Some(Ending::Exited(0)), b"ab".into())),
            "late-refusal" => self.on_thread(move || {
                on_done(Err(WorkerError::new(ErrorKind::Storage, "journal")));
            }),
            "forget" => drop(on_done),
            "hold" => {
                let request = super::fixture::request("hold");
                self.see(Seen::Held(request, on_done));
            }
            other => panic!("no script for {other}"),
        }
        Ok(())
    }

    fn watch(
        &self,
        left: &Cancel,
        emit: &mut dyn FnMut(WatchEvent) -> ControlFlow<()>,
    ) -> Result<(), WorkerError> {
        let running = vec![(execution("runs"), function("echo"))];
        for event in [
            WatchEvent::Running(running),
            WatchEvent::Ended(execution("runs"), function("echo")),
        ] {
            let _ = emit(event);
        }
        left.wait();
        self.see(Seen::FollowerLeft);
        Ok(())
    }

    fn read_ends(&self, query: &EndsQuery) -> Result<Ends, WorkerError> {
        let record = ended_record(&self.agent, Some(Ending::Exited(0)));
        let output = EndedOutput::Whole(Output::of_stdout(b"out".to_vec()));
        Ok(Ends {
            mark: query.after.clone().unwrap_or(Mark {
                boot_id: "boot".to_owned(),
                sequence: 1,
            }),
            ended: vec![(1, Ended { record, output })],
            more: query.limit == 1,
        })
    }

    fn ends_kept(&self, kept: &Mark) {
        self.see(Seen::Kept(kept.clone()));
    }

    fn settle(&self, query: &SettleQuery) -> Result<Settled, WorkerError> {
        Ok(match query.execution.as_str() {
            "runs" => Settled::Running,
            "ended" => Settled::Ended(Box::new(ended_record(&self.agent, Some(Ending::Lost)))),
            _ => Settled::Forgotten,
        })
    }

    fn cancel(&self, id: &ExecutionId) -> Result<CancelOutcome, WorkerError> {
        self.see(Seen::Cancelled(id.clone()));
        Ok(match id.as_str() {
            "ended" => CancelOutcome::AlreadyEnded,
            "unknown" => CancelOutcome::UnknownExecution,
            _ => CancelOutcome::Cancelled,
        })
    }

    fn get_execution(&self, id: &ExecutionId) -> Result<Option<Executed>, WorkerError> {
        let output = match id.as_str() {
            "unknown" => return Ok(None),
            // Six bytes of JSON each.
            "expanding" => vec![1; BIG],
            _ => b"so far \xff".to_vec(),
        };
        let mut request = request("echo");
        request.id = id.clone();
        let record = record(&self.agent, &request, None);
        let output = Output::of_stdout(output);
        Ok(Some(Executed { record, output }))
    }

    fn follow(
        &self,
        id: &ExecutionId,
        offset: u64,
        left: &Cancel,
        emit: &mut dyn FnMut(FollowEvent) -> ControlFlow<()>,
    ) -> Result<(), WorkerError> {
        let chunk = |offset, data| {
            FollowEvent::Output(OutputChunk {
                stream: Stream::Stdout,
                offset,
                stream_offset: offset,
                data,
            })
        };
        match id.as_str() {
            "talks" => {
                for at in offset..offset + 3 {
                    let _ = emit(chunk(at, vec![u8::try_from(at).unwrap()]));
                }
                let mut request = request("echo");
                request.id = id.clone();
                let record = record(&self.agent, &request, Some(Ending::Exited(0)));
                let _ = emit(FollowEvent::Ended(Box::new(record)));
            }
            "silent" => {
                let _ = emit(chunk(0, b"hello".to_vec()));
                left.wait();
                self.see(Seen::FollowerLeft);
            }
            "flood" => {
                let mut at = 0;
                while emit(chunk(at, vec![0; 64 << 10])).is_continue() {
                    at += 64 << 10;
                }
                self.see(Seen::FollowerLeft);
            }
            "breaks" => {
                let _ = emit(chunk(0, b"x".to_vec()));
                return Err(WorkerError::new(ErrorKind::Storage, id));
            }
            _ => return Err(WorkerError::new(ErrorKind::ExecutionNotFound, id)),
        }
        Ok(())
    }

    fn read_output(&self, query: &OutputQuery) -> Result<Option<OutputPiece>, WorkerError> {
        self.see(Seen::Read(query.clone()));
        if query.execution.as_str() == "unknown" {
            return Ok(None);
        }
        Ok(Some(OutputPiece {
            data: b"piece".to_vec(),
            total: 50,
            ended: true,
        }))
    }

    fn list_executions(&self, query: &ExecutionQuery) -> Result<Vec<ExecutionRecord>, WorkerError> {
        self.see(Seen::Listed(query.clone()));
        Ok(vec![record(
            &self.agent,
            &request("echo"),
            Some(Ending::Lost),
        )])
    }

    fn drain(&self, drain: bool) -> Result<DrainState, WorkerError> {
        self.see(Seen::Drained(drain));
        Ok(DrainState {
            draining: drain,
            active_tasks: 4,
        })
    }

    fn node_status(&self) -> NodeReport {
        NodeReport {
            agent: self.agent.clone(),
            status: NodeStatus {
                cpu_percent: 1.0,
                memory_percent: 2.0,
                memory_total_mb: 3,
                memory_used_mb: 4,
                active_tasks: 5,
                max_tasks: 6,
                uptime_seconds: 7,
                cpu_millicores: 8,
                collected_at: now(),
            },
            boot_id: Some("boot".into()),
            draining: false,
            functions_digest: Some("held".into()),
            isolation: vec![Enforced::CgroupKill],
            isolation_missing: Vec::new(),
            ends_sequence: 1,
        }
    }

    fn health(&self) -> Health {
        Health {
            healthy: true,
            version: "9.9".into(),
        }
    }
}

pub fn double(agent: &AgentId, supervisor: &Supervisor, seen: Sender<Seen>) -> Arc<Double> {
    Arc::new(Double {
        agent: agent.clone(),
        supervisor: supervisor.clone(),
        threads: Mutex::default(),
        seen,
    })
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
        let (sender, seen) = unbounded();
        let supervisor = Supervisor::new();
        let double = double(agent, &supervisor, sender);
        let identity = identity.map(|identity| Arc::new(ServerIdentity::new(identity)));
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let serving = Serving::start(loopback, identity.clone(), double, &supervisor).unwrap();
        Agent {
            address: serving.address().to_string(),
            serving: Some(serving),
            identity,
            seen,
            supervisor,
        }
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
    let channels = Channels::new(Some(certificates.control()));
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
