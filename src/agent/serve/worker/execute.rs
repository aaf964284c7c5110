//! From the wish to run a function to its answer: admitted or refused at once, then carried out on a
//! thread of its own.

use std::sync::Arc;

use super::AgentWorker;
use super::output::read_all;
use super::refusals::{journal_error, refusal};
use crate::agent::functions::Function;
use crate::agent::journal::AcceptedExecution;
use crate::agent::output::OutputLog;
use crate::agent::release::Release;
use crate::agent::run::context::Context;
use crate::agent::run::execution::Execution;
use crate::agent::run::live::Live;
use crate::agent::run::threads;
use crate::agent::serve::worker_api::{OnDone, WorkerError};
use crate::model::execution::{Executed, ExecutionRecord};
use crate::model::output::Output;
use crate::sandbox::Control;
use crate::wire::error::ErrorKind;
use crate::wire::execute::ExecuteRequest;

impl AgentWorker {
    /// Must not block. Whoever is refused here gets no call of `on_done`.
    pub(super) fn start(
        &self,
        request: ExecuteRequest,
        on_done: OnDone,
    ) -> Result<(), WorkerError> {
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
