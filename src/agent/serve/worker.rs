//! What the control plane can ask of this agent, carried out.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::ends;
use super::worker_api::{OnDone, Worker, WorkerError};
use crate::agent::functions::{Function, FunctionError, Functions};
use crate::agent::journal::{AcceptedExecution, ExecutionFilter, JournalError};
use crate::agent::output::{self, FollowItem, OutputError, OutputLog};
use crate::agent::release::Release;
use crate::agent::run::admission::{Admission, Refused};
use crate::agent::run::context::Context;
use crate::agent::run::execution::Execution;
use crate::agent::run::live::Live;
use crate::agent::run::threads::{self, Runs};
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::base::clock::Timestamp;
use crate::base::pool::PoolLimits;
use crate::base::threads::Supervisor;
use crate::base::units::Mib;
use crate::config::agent::AgentLimits;
use crate::host::Host;
use crate::model::ends::{Ends, Mark, Settled};
use crate::model::execution::{Ending, Executed, ExecutionRecord};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::model::output::Output;
use crate::rpc::client::Health;
use crate::sandbox::{Control, StopReason};
use crate::wire::cancel::CancelOutcome;
use crate::wire::drain::DrainState;
use crate::wire::ends::{EndsQuery, SettleQuery};
use crate::wire::error::ErrorKind;
use crate::wire::execute::ExecuteRequest;
use crate::wire::function::{HeldFunction, ReceivedConfig, ReleaseHeader, functions_digest};
use crate::wire::listing::ExecutionQuery;
use crate::wire::node::NodeReport;
use crate::wire::output::{FollowEvent, OutputPiece, OutputQuery, Selection};
use crate::wire::watch::WatchEvent;

/// Until a cancelled execution is dead and recorded. The sandbox confirms far sooner, or reports
/// that it cannot.
const CANCEL_TIME: Duration = Duration::from_secs(20);
/// Records in one listing at the most.
const MAX_LISTED: u32 = 1000;
/// How long records stay that the control plane, which keeps them, has not fetched: it may be away for
/// a long weekend.
const UNKEPT_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an execution's thread waits for the next one before it ends.
const THREAD_IDLE: Duration = Duration::from_secs(30);
/// Bytes of an archive that are moved at once.
const COPY_BYTES: usize = 256 << 10;

/// See the module's text.
pub struct AgentWorker {
    id: AgentId,
    // Before the context: its threads use it until they end.
    runs: Runs,
    context: Arc<Context>,
    functions: Functions,
    admission: Arc<Admission>,
    host: Host,
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
            runs: Runs::new(threads, supervisor),
            host: Host::new(context.clock.clone()),
            context: Arc::new(context),
            functions,
            admission,
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

    /// Forgets records, and their output, that ended `retention` ago.
    pub fn expire(&self, now: Timestamp, retention: Duration) {
        loop {
            let expired = match self
                .context
                .journal
                .expire(now, retention, UNKEPT_RETENTION)
            {
                Ok(expired) if expired.is_empty() => return,
                Ok(expired) => expired,
                Err(error) => return log::warn!("expired records stay: {}", with_causes(&error)),
            };
            for id in expired {
                if let Err(error) = output::delete(&self.context.spool_dir, &id) {
                    log::warn!("its output stays on disk: {}", with_causes(&error));
                }
            }
        }
    }

    fn admit(&self, request: ExecuteRequest) -> Result<Execution, WorkerError> {
        let name = &request.function;
        if request.stdin.len() as u64 > self.stdin_max.bytes() {
            let bytes = request.stdin.len();
            return Err(
                WorkerError::new(ErrorKind::Invalid, "stdin").because(format!(
                    "it has {bytes} bytes, and this agent takes {}",
                    self.stdin_max
                )),
            );
        }
        let function = self
            .functions
            .get(name)
            .ok_or_else(|| WorkerError::new(ErrorKind::FunctionNotFound, name))?;
        let release = runnable(&function, &request)?;
        let slot = self
            .admission
            .admit(name, function.config.max_concurrency)
            .map_err(|refused| refusal(&refused, name))?;
        let accepted = ExecutionRecord {
            queued: request.queued,
            ..ExecutionRecord::accepted(
                request.id.clone(),
                self.id.clone(),
                name.clone(),
                release.code.version,
                self.context.clock.now(),
            )
        };
        let control = Control::new()
            .map_err(|error| WorkerError::new(ErrorKind::AgentAtCapacity, name).because(error))?;
        let output = OutputLog::create(
            &self.context.spool_dir,
            &request.id,
            self.output_max.bytes(),
        );
        let live = self
            .context
            .live
            .insert(Live::new(
                accepted,
                self.context.clock.clone(),
                control,
                output,
            ))
            .ok_or_else(|| WorkerError::new(ErrorKind::ExecutionExists, &request.id))?;
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

    /// The output of an execution, wherever it is; `None` when it is not known.
    fn output_of(&self, id: &ExecutionId) -> Result<Option<OutputLog>, WorkerError> {
        if let Some(live) = self.context.live.get(id) {
            return Ok(Some(live.output().clone()));
        }
        match self.context.journal.get(id).map_err(journal_error)? {
            Some(_) => Ok(Some(self.recorded_output(id)?)),
            None => Ok(None),
        }
    }

    fn recorded_output(&self, id: &ExecutionId) -> Result<OutputLog, WorkerError> {
        OutputLog::reopen(&self.context.spool_dir, id).map_err(output_error)
    }

    fn record_of(&self, id: &ExecutionId) -> Result<Option<ExecutionRecord>, WorkerError> {
        if let Some(live) = self.context.live.get(id) {
            return Ok(Some(live.record()));
        }
        self.context.journal.get(id).map_err(journal_error)
    }
}

/// On the execution's own thread: onto the disk, then the answer of an asynchronous call, then
/// the run, then the answer of a synchronous one.
fn carry_out(execution: Execution, context: &Context, on_done: OnDone) {
    let live = Arc::clone(&execution.live);
    let asynchronous = execution.durable;
    let accepted = AcceptedExecution {
        record: live.accepted().clone(),
        durable: asynchronous,
    };
    if let Err(error) = context.journal.accept(&accepted) {
        context.live.withdraw(&live);
        drop(execution);
        return on_done(Err(journal_error(error)));
    }
    if asynchronous {
        on_done(Ok(Executed {
            record: accepted.record,
            output: Output::default(),
        }));
        execution.run(context);
        return;
    }
    let record = execution.run(context);
    on_done(Ok(Executed {
        output: read_all(live.output()),
        record,
    }));
}

impl Worker for AgentWorker {
    fn register_function(&self, config: ReceivedConfig) -> Result<String, WorkerError> {
        let name = config.config.name.clone();
        self.functions
            .register(config)
            .map(|function| function.remark())
            .map_err(|error| function_error(&name, error))
    }

    fn install_release(
        &self,
        header: ReleaseHeader,
        archive: &mut dyn Read,
    ) -> Result<String, WorkerError> {
        let name = header.function;
        let failed = |error| function_error(&name, error);
        let mut incoming = self.functions.receive().map_err(failed)?;
        let mut piece = vec![0; COPY_BYTES];
        loop {
            let count = archive.read(&mut piece).map_err(|error| {
                WorkerError::new(ErrorKind::ArchiveRefused, &name).because(error)
            })?;
            if count == 0 {
                break;
            }
            incoming
                .write(&piece[..count])
                .map_err(|error| failed(error.into()))?;
        }
        let mut archive = incoming
            .finish(&header.code.digest, header.size_bytes)
            .map_err(|error| failed(error.into()))?;
        self.functions
            .install(&name, &header.code, header.config, &mut archive)
            .map(|function| function.remark())
            .map_err(failed)
    }

    fn remove_function(&self, function: &FunctionName) -> Result<(), WorkerError> {
        self.functions
            .remove(function)
            .map(drop)
            .map_err(|error| function_error(function, error))
    }

    fn list_functions(&self) -> Result<Vec<HeldFunction>, WorkerError> {
        Ok(self.functions.list())
    }

    fn execute(&self, request: ExecuteRequest, on_done: OnDone) -> Result<(), WorkerError> {
        let execution = self.admit(request)?;
        let live = Arc::clone(&execution.live);
        let context = Arc::clone(&self.context);
        let syscalls = execution.syscalls();
        self.runs
            .submit(syscalls, move || {
                threads::prepare_thread(&context.sandbox, syscalls);
                carry_out(execution, &context, on_done);
            })
            .map_err(|refused| {
                drop(refused);
                self.context.live.withdraw(&live);
                WorkerError::new(ErrorKind::AgentAtCapacity, &live.accepted().id)
                    .because("there is no thread left for it")
            })
    }

    fn cancel(&self, execution: &ExecutionId) -> Result<CancelOutcome, WorkerError> {
        let Some(live) = self.context.live.get(execution) else {
            return Ok(match self.record_of(execution)? {
                Some(_) => CancelOutcome::AlreadyEnded,
                None => CancelOutcome::UnknownExecution,
            });
        };
        live.control().stop(StopReason::Cancelled);
        if !live.ended().wait_timeout(CANCEL_TIME) {
            return Err(WorkerError::new(ErrorKind::Busy, execution)
                .because("it was told to stop, and is not confirmed dead yet"));
        }
        match live.last() {
            Some(last) if !last.tree_confirmed_dead => {
                Err(WorkerError::new(ErrorKind::Busy, execution)
                    .because(last.record.error.as_str()))
            }
            Some(last) if last.record.ending == Some(Ending::Cancelled) => {
                Ok(CancelOutcome::Cancelled)
            }
            Some(_) | None => Ok(CancelOutcome::AlreadyEnded),
        }
    }

    fn get_execution(&self, execution: &ExecutionId) -> Result<Option<Executed>, WorkerError> {
        if let Some(live) = self.context.live.get(execution) {
            return Ok(Some(Executed {
                record: live.record(),
                output: read_all(live.output()),
            }));
        }
        match self.record_of(execution)? {
            Some(record) => Ok(Some(Executed {
                output: read_all(&self.recorded_output(execution)?),
                record,
            })),
            None => Ok(None),
        }
    }

    fn follow(
        &self,
        execution: &ExecutionId,
        offset: u64,
        left: &Cancel,
        emit: &mut dyn FnMut(FollowEvent) -> ControlFlow<()>,
    ) -> Result<(), WorkerError> {
        // Taken before the output: once that has ended, this says when the record is final.
        let live = self.context.live.get(execution);
        let output = match &live {
            Some(live) => live.output().clone(),
            None => self
                .output_of(execution)?
                .ok_or_else(|| WorkerError::new(ErrorKind::ExecutionNotFound, execution))?,
        };
        let mut follower = output.follow(offset);
        loop {
            match follower.next(None, left).map_err(output_error)? {
                FollowItem::Chunk(chunk) => {
                    if emit(FollowEvent::Output(chunk)).is_break() {
                        return Ok(());
                    }
                }
                FollowItem::Ended => break,
                FollowItem::TimedOut => {}
                FollowItem::Cancelled => return Ok(()),
            }
        }
        // The output ends a moment before the record is written.
        if let Some(live) = &live {
            crossbeam_channel::select! {
                recv(live.ended().receiver()) -> _ => {}
                recv(left.receiver()) -> _ => return Ok(()),
            }
        }
        let last = live
            .as_ref()
            .and_then(|live| Some(live.last()?.record.clone()));
        let record = match last {
            Some(record) => record,
            None => self
                .record_of(execution)?
                .ok_or_else(|| WorkerError::new(ErrorKind::ExecutionNotFound, execution))?,
        };
        // Whether it is taken makes no difference any more.
        let _ = emit(FollowEvent::Ended(Box::new(record)));
        Ok(())
    }

    fn watch(
        &self,
        left: &Cancel,
        emit: &mut dyn FnMut(WatchEvent) -> ControlFlow<()>,
    ) -> Result<(), WorkerError> {
        // First the subscription, then what runs: an end in between is told twice, never not at all.
        let subscription = self
            .context
            .events
            .subscribe()
            .ok_or_else(|| WorkerError::new(ErrorKind::Busy, "feed"))?;
        if emit(WatchEvent::Running(self.context.live.running())).is_break() {
            return Ok(());
        }
        loop {
            let ended = crossbeam_channel::select! {
                recv(subscription.ends()) -> ended => ended,
                recv(left.receiver()) -> _ => return Ok(()),
            };
            let Ok((execution, function)) = ended else {
                // Cut off for being slow, or the agent ends: the listener begins again.
                return Ok(());
            };
            if emit(WatchEvent::Ended(execution, function)).is_break() {
                return Ok(());
            }
        }
    }

    fn read_ends(&self, query: &EndsQuery) -> Result<Ends, WorkerError> {
        ends::read(&self.context, query)
    }

    fn ends_kept(&self, kept: &Mark) {
        self.context.journal.note_kept(kept);
    }

    fn settle(&self, query: &SettleQuery) -> Result<Settled, WorkerError> {
        ends::settle(&self.context, &self.id, query)
    }

    fn read_output(&self, query: &OutputQuery) -> Result<Option<OutputPiece>, WorkerError> {
        let Some(output) = self.output_of(&query.execution)? else {
            return Ok(None);
        };
        let page = match query.selection {
            Selection::Merged => output.read_merged(query.offset, query.limit),
            Selection::Only(stream) => output.read_stream(stream, query.offset, query.limit),
        }
        .map_err(output_error)?;
        Ok(Some(OutputPiece {
            data: page.data,
            total: page.total,
            ended: page.ended,
        }))
    }

    fn list_executions(&self, query: &ExecutionQuery) -> Result<Vec<ExecutionRecord>, WorkerError> {
        let limit = match query.limit {
            0 => MAX_LISTED,
            limit => limit.min(MAX_LISTED),
        } as usize;
        // What runs first, then the journal: one that ends in between is in both, never in none.
        let mut records = self
            .context
            .live
            .list(query.function.as_ref(), query.before.as_ref());
        let filter = ExecutionFilter {
            function: query.function.clone(),
            status: query.status,
            before: query.before.clone(),
            ended_after: query.ended_after.clone(),
        };
        for record in self
            .context
            .journal
            .list(&filter, limit)
            .map_err(journal_error)?
        {
            match records.iter_mut().find(|live| live.id == record.id) {
                Some(live) if record.ending.is_some() => *live = record,
                // Its live record says more than the one that was written at its acceptance.
                Some(_) => {}
                None => records.push(record),
            }
        }
        records.retain(|record| query.status.is_none_or(|status| record.status() == status));
        records.sort_by(|a, b| b.id.cmp(&a.id));
        records.truncate(limit);
        Ok(records)
    }

    fn drain(&self, drain: bool) -> Result<DrainState, WorkerError> {
        Ok(DrainState {
            active_tasks: self.admission.set_draining(drain),
            draining: self.admission.is_draining(),
        })
    }

    fn node_status(&self) -> NodeReport {
        let admission = &self.admission;
        let rules = self.functions.rules();
        let latest = self.context.journal.latest();
        NodeReport {
            agent: self.id.clone(),
            status: self
                .host
                .status(admission.running(), admission.max_executions()),
            boot_id: Some(latest.boot_id),
            draining: admission.is_draining(),
            functions_digest: Some(functions_digest(&self.functions.list()).to_string()),
            isolation: rules.enforced().to_vec(),
            isolation_missing: rules.missing().to_vec(),
            ends_sequence: latest.sequence,
        }
    }

    fn health(&self) -> Health {
        Health {
            healthy: !self.admission.is_draining(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

fn runnable(
    function: &Arc<Function>,
    request: &ExecuteRequest,
) -> Result<Arc<Release>, WorkerError> {
    let name = &function.config.name;
    let Some(release) = &function.release else {
        return Err(WorkerError::new(ErrorKind::FunctionNotDeployed, name));
    };
    let other_version = request
        .version
        .is_some_and(|wanted| wanted != release.code.version);
    let other_config = request
        .config_digest
        .as_ref()
        .is_some_and(|wanted| *wanted != function.config_digest);
    if other_version || other_config {
        return Err(WorkerError::new(ErrorKind::FunctionOutOfDate, name));
    }
    Ok(Arc::clone(release))
}

fn read_all(output: &OutputLog) -> Output {
    output.read_all().unwrap_or_else(|error| {
        log::error!("recorded output cannot be read: {}", with_causes(&error));
        Output::default()
    })
}

fn refusal(refused: &Refused, function: &FunctionName) -> WorkerError {
    let kind = match refused {
        Refused::FunctionAtCapacity { .. } => ErrorKind::FunctionAtCapacity,
        Refused::AgentAtCapacity { .. } => ErrorKind::AgentAtCapacity,
        Refused::Draining => ErrorKind::Draining,
    };
    WorkerError::new(kind, function)
}

fn output_error(error: OutputError) -> WorkerError {
    WorkerError::new(ErrorKind::Storage, error.execution.clone()).because(error)
}

pub(super) fn journal_error(error: JournalError) -> WorkerError {
    match &error {
        JournalError::Exists { id } => WorkerError::new(ErrorKind::ExecutionExists, id),
        JournalError::AlreadyEnded { .. }
        | JournalError::WrongStage { .. }
        | JournalError::Corrupt { .. }
        | JournalError::Storage(_) => {
            WorkerError::new(ErrorKind::Storage, "the journal").because(error)
        }
    }
}

fn function_error(function: &FunctionName, error: FunctionError) -> WorkerError {
    let kind = match &error {
        FunctionError::NotFound(_) => ErrorKind::FunctionNotFound,
        FunctionError::NoUserLeft(_) => ErrorKind::NoUserLeft,
        FunctionError::Release(error) if error.is_refusal() => ErrorKind::ArchiveRefused,
        FunctionError::Release(_) | FunctionError::Journal(_) => ErrorKind::Storage,
    };
    WorkerError::new(kind, function).because(error)
}
