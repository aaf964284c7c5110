//! A worker without work: it answers calls on threads of its own, as an agent does, and floods followers.

use std::io::Read;
use std::ops::ControlFlow;

use crossbeam_channel::{Sender, unbounded};
use flux::agent::serve::worker_api::{OnDone, Worker, WorkerError};
use flux::base::cancel::Cancel;
use flux::base::clock::Timestamp;
use flux::base::threads::{Joined, Supervisor};
use flux::model::ends::{Ends, Mark, Settled};
use flux::model::execution::{Ending, Executed, ExecutionRecord};
use flux::model::ids::{AgentId, ExecutionId, FunctionName};
use flux::model::output::{Output, OutputChunk, Stream};
use flux::model::resources::NodeStatus;
use flux::rpc::client::Health;
use flux::wire::cancel::CancelOutcome;
use flux::wire::drain::DrainState;
use flux::wire::ends::{EndsQuery, SettleQuery};
use flux::wire::error::ErrorKind;
use flux::wire::execute::ExecuteRequest;
use flux::wire::function::{HeldFunction, ReceivedConfig, ReleaseHeader};
use flux::wire::listing::ExecutionQuery;
use flux::wire::node::NodeReport;
use flux::wire::output::{FollowEvent, OutputPiece, OutputQuery};
use flux::wire::watch::WatchEvent;

/// Bytes of one event, as agents have it.
pub const CHUNK: u64 = 64 << 10;

/// As many as calls at once here.
const THREADS: usize = 16;

pub struct Idle {
    agent: AgentId,
    calls: Sender<(ExecuteRequest, OnDone)>,
    _threads: Vec<Joined>,
}

impl Idle {
    pub fn new(agent: &AgentId, supervisor: &Supervisor) -> Idle {
        let (calls, taken) = unbounded::<(ExecuteRequest, OnDone)>();
        let threads = (0..THREADS).map(|i| {
            let (taken, agent) = (taken.clone(), agent.clone());
            let answer = move || {
                for (request, on_done) in taken {
                    on_done(Ok(executed(&agent, &request)));
                }
            };
            supervisor
                .spawn(format!("run-{i}"), answer)
                .expect("a thread")
        });
        Idle {
            agent: agent.clone(),
            calls,
            _threads: threads.collect(),
        }
    }
}

fn executed(agent: &AgentId, request: &ExecuteRequest) -> Executed {
    let accepted = ExecutionRecord::accepted(
        request.id.clone(),
        agent.clone(),
        request.function.clone(),
        1,
        Timestamp::from_millis(0),
    );
    Executed {
        record: ended(accepted),
        output: Output::of_stdout(b"done\n".to_vec()),
    }
}

fn ended(accepted: ExecutionRecord) -> ExecutionRecord {
    ExecutionRecord {
        ending: Some(Ending::Exited(0)),
        ..accepted
    }
}

fn absent(what: &'static str) -> WorkerError {
    WorkerError::new(ErrorKind::Invalid, what)
}

impl Worker for Idle {
    fn execute(&self, request: ExecuteRequest, on_done: OnDone) -> Result<(), WorkerError> {
        let handed = self.calls.send((request, on_done));
        handed.map_err(|_| absent("threads"))
    }

    /// As many bytes as the id says.
    fn follow(
        &self,
        id: &ExecutionId,
        offset: u64,
        _: &Cancel,
        emit: &mut dyn FnMut(FollowEvent) -> ControlFlow<()>,
    ) -> Result<(), WorkerError> {
        let bytes: u64 = id.as_str().parse().map_err(|_| absent("bytes"))?;
        let mut at = offset;
        while at < bytes {
            let data = vec![b'x'; CHUNK as usize];
            let chunk = OutputChunk {
                stream: Stream::Stdout,
                offset: at,
                stream_offset: at,
                data,
            };
            if emit(FollowEvent::Output(chunk)).is_break() {
                return Ok(());
            }
            at += CHUNK;
        }
        let accepted = ExecutionRecord::accepted(
            id.clone(),
            self.agent.clone(),
            FunctionName::new("flood").expect("a name"),
            1,
            Timestamp::from_millis(0),
        );
        let _ = emit(FollowEvent::Ended(Box::new(ended(accepted))));
        Ok(())
    }

    fn health(&self) -> Health {
        Health {
            healthy: true,
            version: "bench".to_owned(),
        }
    }

    fn node_status(&self) -> NodeReport {
        NodeReport {
            agent: self.agent.clone(),
            status: NodeStatus {
                cpu_percent: 0.0,
                memory_percent: 0.0,
                memory_total_mb: 0,
                memory_used_mb: 0,
                active_tasks: 0,
                max_tasks: THREADS as u32,
                uptime_seconds: 0,
                cpu_millicores: 0,
                collected_at: Timestamp::from_millis(0),
            },
            boot_id: None,
            draining: false,
            functions_digest: None,
            isolation: Vec::new(),
            isolation_missing: Vec::new(),
            ends_sequence: 0,
        }
    }

    fn ends_kept(&self, _: &Mark) {}

    fn register_function(&self, _: ReceivedConfig) -> Result<String, WorkerError> {
        Err(absent("functions"))
    }

    fn install_release(&self, _: ReleaseHeader, _: &mut dyn Read) -> Result<String, WorkerError> {
        Err(absent("releases"))
    }

    fn remove_function(&self, _: &FunctionName) -> Result<(), WorkerError> {
        Err(absent("functions"))
    }

    fn list_functions(&self) -> Result<Vec<HeldFunction>, WorkerError> {
        Err(absent("functions"))
    }

    fn cancel(&self, _: &ExecutionId) -> Result<CancelOutcome, WorkerError> {
        Err(absent("executions"))
    }

    fn get_execution(&self, _: &ExecutionId) -> Result<Option<Executed>, WorkerError> {
        Err(absent("executions"))
    }

    fn watch(
        &self,
        _: &Cancel,
        _: &mut dyn FnMut(WatchEvent) -> ControlFlow<()>,
    ) -> Result<(), WorkerError> {
        Err(absent("events"))
    }

    fn read_ends(&self, _: &EndsQuery) -> Result<Ends, WorkerError> {
        Err(absent("ends"))
    }

    fn settle(&self, _: &SettleQuery) -> Result<Settled, WorkerError> {
        Err(absent("executions"))
    }

    fn read_output(&self, _: &OutputQuery) -> Result<Option<OutputPiece>, WorkerError> {
        Err(absent("output"))
    }

    fn list_executions(&self, _: &ExecutionQuery) -> Result<Vec<ExecutionRecord>, WorkerError> {
        Err(absent("executions"))
    }

    fn drain(&self, _: bool) -> Result<DrainState, WorkerError> {
        Err(absent("drains"))
    }
}
