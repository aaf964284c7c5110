//! Functions called: at most once for an idempotency key, to the end or up to the acceptance.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::dispatch::{DispatchError, Dispatcher};
use super::executions::{ExecutionError, Executions};
use super::idempotency::{IdempotentCalls, Mode};
use crate::base::cancel::Cancel;
use crate::model::execution::Executed;
use crate::model::function::Env;
use crate::model::ids::{ExecutionId, FunctionName};
use crate::store::StoreError;

pub(crate) struct Calls {
    dispatcher: Dispatcher,
    keys: IdempotentCalls,
    executions: Arc<Executions>,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub function: FunctionName,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Its standard input; empty = none.
    pub stdin: Vec<u8>,
    /// Added to the function's own environment.
    pub env: Env,
    /// Tightens the function's timeout for this call.
    pub timeout: Option<Duration>,
    /// The same key gives the first answer again.
    pub idempotency_key: Option<String>,
    /// Pulled when the client leaves.
    pub client_gone: Cancel,
}

/// Why a call was not carried out, or its end is not known.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// It was not run.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The key was used for another call.
    #[error("the idempotency key was used for a different call")]
    KeyReused,
    /// The first call with that key is still running.
    #[error("the first call with this idempotency key still runs, as execution {0}")]
    KeyPending(ExecutionId),
    /// The first call with that key ended with the control plane, and nobody knows its outcome.
    #[error(
        "the first call with this idempotency key was execution {0}, of which no agent has a record"
    )]
    KeyUnsettled(ExecutionId),
    /// What became of the first call with that key cannot be found out now.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// The store failed.
    #[error("the idempotency key cannot be looked up or kept")]
    Store(#[from] StoreError),
}

impl Calls {
    pub(crate) fn new(
        dispatcher: Dispatcher,
        keys: IdempotentCalls,
        executions: Arc<Executions>,
    ) -> Calls {
        Calls {
            dispatcher,
            keys,
            executions,
        }
    }

    /// Runs a function and waits for its end.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn execute(&self, call: &Call) -> Result<Executed, CallError> {
        let run = |id: &ExecutionId| Ok(self.dispatcher.run(id, call)?);
        self.with_key(Mode::Sync, call, run, |first| {
            match self.executions.get(first) {
                Ok(executed) if executed.record.ending.is_some() => Ok(Some(executed)),
                Ok(executed) => Err(CallError::KeyPending(executed.record.id)),
                // Whether it ever started, nobody can tell any more; it must not start again.
                Err(ExecutionError::NotFound(id)) => Err(CallError::KeyUnsettled(id)),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Runs a function and answers once the work is durable.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn start(&self, call: &Call) -> Result<ExecutionId, CallError> {
        let run = |id: &ExecutionId| {
            self.dispatcher.start(id, call)?;
            Ok(id.clone())
        };
        self.with_key(Mode::Async, call, run, |first| {
            // Its route is stored before anything starts: without one, nothing has.
            let is_known = self.executions.is_known(first)?;
            Ok(is_known.then(|| first.clone()))
        })
    }

    /// Runs a call at most once for its key, which is held meanwhile. `settle` says what became of the
    /// execution of an earlier call; `None` = it never started, and starts now under its first id.
    fn with_key<T>(
        &self,
        mode: Mode,
        call: &Call,
        run: impl Fn(&ExecutionId) -> Result<T, CallError>,
        settle: impl Fn(&ExecutionId) -> Result<Option<T>, CallError>,
    ) -> Result<T, CallError> {
        let id = ExecutionId::generate();
        let Some(key) = &call.idempotency_key else {
            return run(&id);
        };
        let (claim, earlier) = self.keys.claim(key, mode, call, &id)?;
        if earlier && let Some(answer) = settle(claim.execution())? {
            return Ok(answer);
        }
        let result = run(claim.execution());
        if let Err(error) = &result
            && nothing_started(error)
        {
            claim.abandon();
        }
        result
    }
}

/// Whether the key may be used again after this failure.
fn nothing_started(error: &CallError) -> bool {
    match error {
        CallError::Dispatch(
            DispatchError::NoSlot(_)
            | DispatchError::Invalid(_)
            | DispatchError::NotTaken(_)
            | DispatchError::Store(_),
        ) => true,
        CallError::Dispatch(DispatchError::Unknown { .. } | DispatchError::ClientGone)
        | CallError::KeyReused
        | CallError::KeyPending(_)
        | CallError::KeyUnsettled(_)
        | CallError::Execution(_)
        | CallError::Store(_) => false,
    }
}
