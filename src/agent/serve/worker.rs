//! What the control plane can ask of this agent, carried out.
//!
//! The worker is the table of it, and holds the parts that everything is answered from. Each subject is
//! in a file below: `releases` come and go, `execute` starts, `records`, `output` and `ends` say what came
//! of it, `feed` tells it unasked, and `refusals` puts what failed into the words of the protocol.

mod ends;
mod execute;
mod feed;
mod output;
mod records;
mod refusals;
mod releases;

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::worker_api::{OnDone, Worker, WorkerError};
use crate::agent::functions::Functions;
use crate::agent::run::admission::Admission;
use crate::agent::run::context::Context;
use crate::agent::run::threads::Runs;
use crate::base::cancel::Cancel;
use crate::base::clock::Timestamp;
use crate::base::pool::PoolLimits;
use crate::base::threads::Supervisor;
use crate::base::units::Mib;
use crate::config::agent::AgentLimits;
use crate::host::Host;
use crate::model::ends::{Ends, Mark, Settled};
use crate::model::execution::{Executed, ExecutionRecord};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::rpc::client::Health;
use crate::wire::cancel::CancelOutcome;
use crate::wire::drain::DrainState;
use crate::wire::ends::{EndsQuery, SettleQuery};
use crate::wire::execute::ExecuteRequest;
use crate::wire::function::{HeldFunction, ReceivedConfig, ReleaseHeader, functions_digest};
use crate::wire::listing::ExecutionQuery;
use crate::wire::node::NodeReport;
use crate::wire::output::{FollowEvent, OutputPiece, OutputQuery};
use crate::wire::watch::WatchEvent;

/// How long an execution's thread waits for the next one before it ends.
const THREAD_IDLE: Duration = Duration::from_secs(30);

/// The agent's side of every call: the parts that it is answered from.
pub(crate) struct AgentWorker {
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
    /// With nothing running. Threads for executions are started as they are needed.
    pub(crate) fn new(
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
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Who may run how much.
    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Forgets records, and their output, that ended `retention` ago.
    pub(crate) fn expire(&self, now: Timestamp, retention: Duration) {
        records::expire(&self.context, now, retention);
    }
}

impl Worker for AgentWorker {
    fn register_function(&self, config: ReceivedConfig) -> Result<String, WorkerError> {
        releases::register(&self.functions, config)
    }

    fn install_release(
        &self,
        header: ReleaseHeader,
        archive: &mut dyn Read,
    ) -> Result<String, WorkerError> {
        releases::install(&self.functions, header, archive)
    }

    fn remove_function(&self, function: &FunctionName) -> Result<(), WorkerError> {
        releases::remove(&self.functions, function)
    }

    fn list_functions(&self) -> Result<Vec<HeldFunction>, WorkerError> {
        Ok(self.functions.list())
    }

    fn execute(&self, request: ExecuteRequest, on_done: OnDone) -> Result<(), WorkerError> {
        self.start(request, on_done)
    }

    fn cancel(&self, execution: &ExecutionId) -> Result<CancelOutcome, WorkerError> {
        records::cancel(&self.context, execution)
    }

    fn get_execution(&self, execution: &ExecutionId) -> Result<Option<Executed>, WorkerError> {
        records::get(&self.context, execution)
    }

    fn follow(
        &self,
        execution: &ExecutionId,
        offset: u64,
        left: &Cancel,
        emit: &mut dyn FnMut(FollowEvent) -> ControlFlow<()>,
    ) -> Result<(), WorkerError> {
        output::follow(&self.context, execution, offset, left, emit)
    }

    fn watch(
        &self,
        left: &Cancel,
        emit: &mut dyn FnMut(WatchEvent) -> ControlFlow<()>,
    ) -> Result<(), WorkerError> {
        feed::watch(&self.context, left, emit)
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
        output::read(&self.context, query)
    }

    fn list_executions(&self, query: &ExecutionQuery) -> Result<Vec<ExecutionRecord>, WorkerError> {
        records::list(&self.context, query)
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
