//! A worker that does what the function's or execution's name says.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use crossbeam_channel::Sender;
use flux::agent::serve::worker_api::{OnDone, Worker, WorkerError};
use flux::base::cancel::Cancel;
use flux::base::threads::{Joined, Supervisor};
use flux::model::ends::{Ended, EndedOutput, Ends, Mark, Settled};
use flux::model::enforced::Enforced;
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

use super::fixture::{ended_record, execution, function, now, record, request};

pub const BIG: usize = 20 << 20;
/// Of a long stream: no multiple of a piece.
pub const LONG: u64 = (100 << 20) + 12345;
const PIECE: u64 = 64 << 10;

/// The bytes of a long stream from a position on.
pub fn pattern(offset: u64, length: u64) -> Vec<u8> {
    let turn: Vec<u8> = (offset..offset + 251).map(|at| (at % 251) as u8).collect();
    let length = length as usize;
    let mut bytes = turn.repeat(length / turn.len() + 1);
    bytes.truncate(length);
    bytes
}

/// What the worker was asked to do, for the test to see.
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

    fn ended(&self, id: &ExecutionId) -> FollowEvent {
        let mut request = request("echo");
        request.id = id.clone();
        let record = record(&self.agent, &request, Some(Ending::Exited(0)));
        FollowEvent::Ended(Box::new(record))
    }

    fn see(&self, seen: Seen) {
        // The test may have ended.
        let _ = self.seen.send(seen);
    }
}

/// What neither a header nor a percent-encoding holds as it is.
pub const FOREIGN_WORDS: &str = "100 % größer\n🦀";
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
        if name == "foreign-words" {
            let error = WorkerError::new(ErrorKind::Storage, &request.function);
            return Err(error.because(FOREIGN_WORDS));
        }
        if name == "hold" {
            self.see(Seen::Held(request, on_done));
            return Ok(());
        }
        let request = match name.as_str() {
            // Against the contract: what another execution came to.
            "another" => super::fixture::request("another"),
            _ => request,
        };
        let stdin = request.stdin.clone();
        let done = move |ending, output: Vec<u8>| {
            let record = record(&agent, &request, ending);
            let output = Output::of_stdout(output);
            Ok(Executed { record, output })
        };
        match name.as_str() {
            "echo" | "another" => {
                self.on_thread(move || on_done(done(Some(Ending::Exited(0)), b"ab".into())));
            }
            "fails" => self.on_thread(move || on_done(done(Some(Ending::Exited(3)), b"no".into()))),
            "big" => {
                let output: Vec<u8> = (0..BIG).map(|i| (i % 251) as u8).collect();
                self.on_thread(move || on_done(done(Some(Ending::Exited(0)), output)));
            }
            "stdin" => self.on_thread(move || on_done(done(Some(Ending::Exited(0)), stdin))),
            "accept" => self.on_thread(move || on_done(done(None, Vec::new()))),
            // Against the contract: from the thread that must not block.
            "inline" => on_done(done(Some(Ending::Exited(0)), b"ab".into())),
            "late-refusal" => self.on_thread(move || {
                on_done(Err(WorkerError::new(ErrorKind::Storage, "journal")));
            }),
            "forget" => drop(on_done),
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
                let _ = emit(self.ended(id));
            }
            "long" => {
                for at in (offset..LONG).step_by(PIECE as usize) {
                    if emit(chunk(at, pattern(at, PIECE.min(LONG - at)))).is_break() {
                        return Ok(());
                    }
                }
                let _ = emit(self.ended(id));
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
