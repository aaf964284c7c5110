//! What the control plane can ask of this agent, carried out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::admission::{Admission, Refused};
use super::context::Context;
use super::execution::Execution;
use super::functions::{Function, FunctionError, Functions};
use super::journal::JournalError;
use super::live::Live;
use super::output::{self, OutputError, OutputLog};
use super::release::Release;
use super::service::{OnDone, WorkerError};
use crate::base::clock::Timestamp;
use crate::base::pool::{Full, Pool, PoolLimits};
use crate::base::threads::Supervisor;
use crate::base::units::Mib;
use crate::config::agent::AgentLimits;
use crate::host::Host;
use crate::model::execution::{ExecutionRecord, Usage};
use crate::model::ids::{AgentId, ExecutionId};
use crate::sandbox::{Control, StopReason};
use crate::wire::error::ErrorKind;
use crate::wire::execution::{
    CancelOutcome, DrainState, ExecuteRequest, Executed, ExecutionQuery,
};
use crate::wire::function::functions_digest;
use crate::wire::node::NodeReport;
use crate::wire::output::{OutputPiece, OutputQuery, Selection};

/// Until a cancelled execution is dead and recorded. The sandbox confirms far sooner, or reports
/// that it cannot.
const CANCEL_TIME: Duration = Duration::from_secs(20);
/// Records in one listing at the most.
const MAX_LISTED: u32 = 1000;
/// Output in one piece at the most; below the limit of a gRPC message.
const MAX_PIECE_BYTES: u64 = Mib(4).bytes();
/// How long an execution's thread waits for the next one before it ends.
const THREAD_IDLE: Duration = Duration::from_secs(30);

/// See the module's text.
pub struct AgentWorker {
    id: AgentId,
    boot_id: String,
    // Before the context: its threads use it until they end.
    runs: Pool,
    context: Arc<Context>,
    functions: Functions,
    admission: Arc<Admission>,
    host: Host,
    spool_dir: PathBuf,
    output_max: Mib,
    stdin_max: Mib,
}

impl AgentWorker {
    /// Takes its parts.
    pub fn new(
        id: AgentId,
        context: Context,
        functions: Functions,
        admission: Arc<Admission>,
        spool_dir: PathBuf,
        limits: &AgentLimits,
        supervisor: &Supervisor,
    ) -> AgentWorker {
        let threads = PoolLimits {
            threads: limits.max_executions.get() as usize,
            // A slot is free a moment before its thread is.
            queued: limits.max_executions.get() as usize,
            idle: THREAD_IDLE,
        };
        AgentWorker {
            id,
            boot_id: uuid::Uuid::new_v4().to_string(),
            runs: Pool::new("run", threads, supervisor),
            context: Arc::new(context),
            functions,
            admission,
            host: Host::new(),
            spool_dir,
            output_max: limits.output_max,
            stdin_max: limits.stdin_max,
        }
    }

    /// What its executions share.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What may run.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// What it holds.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// How it is.
    pub fn report(&self) -> NodeReport {
        let held = self.functions.list();
        NodeReport {
            agent: self.id.clone(),
            status: self
                .host
                .status(self.admission.running(), self.admission.max_executions()),
            boot_id: Some(self.boot_id.clone()),
            draining: self.admission.is_draining(),
            functions_digest: Some(functions_digest(&held).to_string()),
            isolation: self
                .context
                .sandbox
                .enforced()
                .iter()
                .map(|enforced| enforced.as_str().to_owned())
                .collect(),
        }
    }

    /// Admits and starts an execution. `done` is called once: for a synchronous call with its
    /// end, for an asynchronous one as soon as the work is on disk.
    pub fn execute(&self, request: ExecuteRequest, done: OnDone) {
        let asynchronous = request.asynchronous;
        let execution = match self.admit(request) {
            Ok(execution) => execution,
            Err(error) => return done(Err(error)),
        };
        let accepted = execution.live.accepted().clone();
        if asynchronous {
            if let Err(error) = self.context.journal.accept(&accepted) {
                self.context.live.withdraw(&accepted.id);
                return done(Err(journal_error(&error)));
            }
            if let Err(error) = self.launch(execution, |_, _| ()) {
                return done(Err(error));
            }
            done(Ok(Executed { record: accepted, output: Vec::new() }));
            return;
        }
        let done = std::sync::Mutex::new(Some(done));
        let done = Arc::new(done);
        let for_job = Arc::clone(&done);
        let launched = self.launch(execution, move |record, output| {
            if let Some(done) = take(&for_job) {
                done(Ok(Executed { output: read_all(output), record }));
            }
        });
        if let (Err(error), Some(done)) = (launched, take(&done)) {
            done(Err(error));
        }
    }

    /// Ends a running execution; returns once its tree is dead and its end recorded.
    ///
    /// # Errors
    /// When that could not be confirmed.
    pub fn cancel(&self, id: &ExecutionId) -> Result<CancelOutcome, WorkerError> {
        let Some(live) = self.context.live.get(id) else {
            return Ok(match self.context.journal.get(id) {
                Ok(Some(_)) => CancelOutcome::AlreadyEnded,
                Ok(None) => CancelOutcome::UnknownExecution,
                Err(error) => return Err(journal_error(&error)),
            });
        };
        live.control().stop(StopReason::Cancelled);
        if !live.ended().wait_timeout(CANCEL_TIME) {
            return Err(WorkerError::new(
                ErrorKind::Unconfirmed,
                id.as_str(),
                format!("execution {id} was told to stop, and is not confirmed dead yet"),
            ));
        }
        let was_cancelled = live.last().is_some_and(|record| {
            record.ending == Some(crate::model::execution::Ending::Cancelled)
        });
        Ok(if was_cancelled {
            CancelOutcome::Cancelled
        } else {
            CancelOutcome::AlreadyEnded
        })
    }

    /// A record as it stands, and its output so far.
    ///
    /// # Errors
    /// The journal's.
    pub fn get(&self, id: &ExecutionId) -> Result<Option<Executed>, WorkerError> {
        if let Some(live) = self.context.live.get(id) {
            let record = live.record();
            return Ok(Some(Executed { output: read_all(live.output()), record }));
        }
        let Some(record) = self.context.journal.get(id).map_err(|error| journal_error(&error))? else {
            return Ok(None);
        };
        Ok(Some(Executed { output: read_all(&*self.recorded_output(id)?), record }))
    }

    /// A piece of output.
    ///
    /// # Errors
    /// The journal's, the disk's.
    pub fn read_output(&self, query: &OutputQuery) -> Result<Option<OutputPiece>, WorkerError> {
        let output = match self.context.live.get(&query.execution) {
            Some(live) => Arc::clone(live.output()),
            None => match self.context.journal.get(&query.execution) {
                Ok(Some(_)) => self.recorded_output(&query.execution)?,
                Ok(None) => return Ok(None),
                Err(error) => return Err(journal_error(&error)),
            },
        };
        let limit = match query.limit {
            0 => MAX_PIECE_BYTES,
            limit => limit.min(MAX_PIECE_BYTES),
        };
        let page = match query.selection {
            Selection::Merged => output.read_merged(query.offset, limit),
            Selection::Only(stream) => output.read_stream(stream, query.offset, limit),
        };
        let page = page.map_err(|error| output_error(&error))?;
        Ok(Some(OutputPiece {
            data: page.data,
            total: page.total,
            ended: page.ended,
        }))
    }

    /// Records without output, newest first.
    ///
    /// # Errors
    /// The journal's.
    pub fn list(&self, query: &ExecutionQuery) -> Result<Vec<ExecutionRecord>, WorkerError> {
        let limit = match query.limit {
            0 => MAX_LISTED,
            limit => limit.min(MAX_LISTED),
        } as usize;
        // Running ones first, then the journal: one that ends in between is in both, never in none.
        let mut records = self
            .context
            .live
            .list(query.function.as_ref(), query.before.as_ref());
        records.retain(|record| query.status.is_none_or(|status| record.status() == status));
        let recorded = self
            .context
            .journal
            .list(query.function.as_ref(), query.status, limit, query.before.as_ref())
            .map_err(|error| journal_error(&error))?;
        for record in recorded {
            if let Some(live) = records.iter_mut().find(|live| live.id == record.id) {
                if record.ending.is_some() {
                    *live = record;
                }
            } else {
                records.push(record);
            }
        }
        records.sort_by(|a, b| b.id.cmp(&a.id));
        records.truncate(limit);
        Ok(records)
    }

    /// Starts or ends draining.
    pub fn drain(&self, drain: bool) -> DrainState {
        DrainState {
            active_tasks: self.admission.set_draining(drain),
            draining: drain,
        }
    }

    /// Where an execution's output can be followed, and the record once it has ended.
    ///
    /// # Errors
    /// The journal's.
    pub fn followable(&self, id: &ExecutionId) -> Result<Option<Followable>, WorkerError> {
        if let Some(live) = self.context.live.get(id) {
            return Ok(Some(Followable::Live(live)));
        }
        match self.context.journal.get(id) {
            Ok(Some(record)) => Ok(Some(Followable::Ended {
                output: self.recorded_output(id)?,
                record: Box::new(record),
            })),
            Ok(None) => Ok(None),
            Err(error) => Err(journal_error(&error)),
        }
    }

    /// Forgets records, and their output, whose time is over.
    pub fn expire(&self, now: Timestamp) {
        match self.context.journal.expire(now) {
            Ok(expired) => {
                for id in expired {
                    if let Err(error) = output::delete(&self.spool_dir, &id) {
                        log::warn!("execution {id}: its output stays on disk: {error}");
                    }
                }
            }
            Err(error) => log::warn!("expired records stay: {error}"),
        }
    }

    fn admit(&self, request: ExecuteRequest) -> Result<Execution, WorkerError> {
        let name = &request.function;
        if request.stdin.len() as u64 > self.stdin_max.bytes() {
            return Err(WorkerError::new(
                ErrorKind::Invalid,
                "stdin",
                format!("the input has {} bytes, and this agent takes {}", request.stdin.len(), self.stdin_max),
            ));
        }
        let function = self.functions.get(name).ok_or_else(|| {
            WorkerError::new(ErrorKind::FunctionNotFound, name.as_str(), format!("function not found: {name}"))
        })?;
        let release = runnable(&function, &request)?;
        let slot = self
            .admission
            .admit(name, function.config.max_concurrency)
            .map_err(|refused| refusal(&refused, name.as_str()))?;
        if self.already_known(&request.id)? {
            return Err(exists(&request.id));
        }
        let now = Timestamp::now();
        let accepted = ExecutionRecord {
            id: request.id.clone(),
            agent: self.id.clone(),
            function: name.clone(),
            function_version: release.version,
            ending: None,
            error: String::new(),
            started_at: now,
            status_at: now,
            duration: Duration::ZERO,
            queued: request.queued,
            stdout_bytes: 0,
            stderr_bytes: 0,
            truncated: false,
            usage: Usage::default(),
        };
        let control = Control::new().map_err(|error| {
            WorkerError::new(ErrorKind::AgentAtCapacity, name.as_str(), format!("no descriptor left: {error}"))
        })?;
        let output = Arc::new(OutputLog::create(&self.spool_dir, &request.id, self.output_max.bytes()));
        let live = self
            .context
            .live
            .insert(Live::new(accepted, control, output))
            .ok_or_else(|| exists(&request.id))?;
        Ok(Execution {
            live,
            function,
            release,
            args: request.args,
            stdin: request.stdin,
            env: request.env,
            timeout: request.timeout,
            durable: request.asynchronous,
            slot,
        })
    }

    /// Whether an execution of that id was here before: an id that the control plane made just
    /// now cannot be, so only others cost a look into the journal.
    fn already_known(&self, id: &ExecutionId) -> Result<bool, WorkerError> {
        match self.context.journal.get(id) {
            Ok(found) => Ok(found.is_some()),
            Err(error) => Err(journal_error(&error)),
        }
    }

    /// Gives the execution a thread. Without one it is taken back, as if it had never been.
    fn launch(
        &self,
        execution: Execution,
        then: impl FnOnce(ExecutionRecord, &OutputLog) + Send + 'static,
    ) -> Result<(), WorkerError> {
        let context = Arc::clone(&self.context);
        let id = execution.live.accepted().id.clone();
        let output = Arc::clone(execution.live.output());
        let durable = execution.durable;
        let accepted = execution.live.accepted().clone();
        let job = move || {
            let record = execution.run(&context);
            then(record, &output);
        };
        match self.runs.submit(job) {
            Ok(()) => Ok(()),
            Err(Full(job)) => {
                drop(job);
                self.context.live.withdraw(&id);
                if durable {
                    self.take_back(accepted);
                }
                Err(WorkerError::new(
                    ErrorKind::AgentAtCapacity,
                    id.as_str(),
                    "the agent has no thread left for another execution".to_owned(),
                ))
            }
        }
    }

    /// It is in the journal, and was answered with a refusal: it must not come back as lost work.
    fn take_back(&self, accepted: ExecutionRecord) {
        let record = ExecutionRecord {
            ending: Some(crate::model::execution::Ending::SpawnFailed),
            error: "the agent had no thread left for it".to_owned(),
            status_at: Timestamp::now(),
            ..accepted
        };
        self.context.write_final(record, true);
    }

    fn recorded_output(&self, id: &ExecutionId) -> Result<Arc<OutputLog>, WorkerError> {
        let output = OutputLog::reopen(&self.spool_dir, id).map_err(|error| output_error(&error))?;
        Ok(Arc::new(output))
    }
}

/// An execution whose output can be followed.
pub enum Followable {
    /// It runs, or ended a moment ago.
    Live(Arc<Live>),
    /// It ended earlier.
    Ended {
        /// All of it.
        output: Arc<OutputLog>,
        /// Final.
        record: Box<ExecutionRecord>,
    },
}

fn runnable(function: &Arc<Function>, request: &ExecuteRequest) -> Result<Arc<Release>, WorkerError> {
    let name = &function.config.name;
    let Some(release) = &function.release else {
        return Err(WorkerError::new(
            ErrorKind::FunctionNotDeployed,
            name.as_str(),
            format!("function {name} has no code here"),
        ));
    };
    let other_version = request.version.is_some_and(|wanted| wanted != release.version);
    let other_config = request
        .config_digest
        .as_ref()
        .is_some_and(|wanted| *wanted != function.config_digest);
    if other_version || other_config {
        return Err(WorkerError::new(
            ErrorKind::FunctionOutOfDate,
            name.as_str(),
            format!("function {name} is at version {} here", release.version),
        ));
    }
    Ok(Arc::clone(release))
}

fn read_all(output: &OutputLog) -> Vec<u8> {
    match output.read_merged(0, u64::MAX) {
        Ok(page) => page.data,
        Err(error) => {
            log::error!("recorded output cannot be read: {error}");
            Vec::new()
        }
    }
}

fn take<T>(slot: &std::sync::Mutex<Option<T>>) -> Option<T> {
    crate::base::threads::lock(slot).take()
}

fn exists(id: &ExecutionId) -> WorkerError {
    WorkerError::new(
        ErrorKind::ExecutionExists,
        id.as_str(),
        format!("execution {id} was accepted before"),
    )
}

fn refusal(refused: &Refused, function: &str) -> WorkerError {
    let kind = match refused {
        Refused::FunctionAtCapacity { .. } => ErrorKind::FunctionAtCapacity,
        Refused::AgentAtCapacity { .. } => ErrorKind::AgentAtCapacity,
        Refused::Draining => ErrorKind::Draining,
    };
    WorkerError::new(kind, function, refused.to_string())
}

fn output_error(error: &OutputError) -> WorkerError {
    WorkerError::new(ErrorKind::Storage, error.execution.as_str(), with_causes(error))
}

fn journal_error(error: &JournalError) -> WorkerError {
    match error {
        JournalError::Exists(id) => exists(id),
        error => WorkerError::new(ErrorKind::Storage, "journal", error.to_string()),
    }
}

/// What a change of a function came to, for the caller.
pub fn function_error(error: &FunctionError) -> WorkerError {
    let (kind, subject) = match error {
        FunctionError::NotFound(name) => (ErrorKind::FunctionNotFound, name.to_string()),
        FunctionError::Release(_) => (ErrorKind::ArchiveRefused, String::new()),
        FunctionError::Journal(_) => (ErrorKind::Storage, "journal".to_owned()),
    };
    WorkerError::new(kind, &subject, with_causes(error))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
