//! Functions called: at most once for an idempotency key, to the end or up to the acceptance.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::dispatch::{DispatchError, Dispatcher};
use super::executions::{ExecutionError, Executions};
use super::idempotency::{self, Begun, Guard, IdempotentCalls, Mode};
use crate::base::cancel::Cancel;
use crate::model::execution::Executed;
use crate::model::function::Env;
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::store::{StoreError, StoredAnswer};
use crate::wire::error::WireError;
use crate::wire::record;

/// See the module's text.
pub struct Calls {
    dispatcher: Dispatcher,
    keys: IdempotentCalls,
    executions: Arc<Executions>,
}

/// What to run, with what.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which function.
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
pub enum CallError {
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
    /// A record cannot be put into the form it has to have.
    #[error("a record cannot be understood")]
    Record(#[from] WireError),
}

impl Calls {
    /// Takes its parts.
    pub fn new(
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
    pub fn execute(&self, call: &Call) -> Result<Executed, CallError> {
        self.with_key(
            Mode::Sync,
            call,
            |id| {
                let executed = self.dispatcher.run(id, call)?;
                let stored = idempotency::ended_answer(&executed)?;
                Ok((executed, stored))
            },
            |execution| match self.executions.get(execution) {
                Ok(executed) if executed.record.ending.is_some() => {
                    let stored = idempotency::ended_answer(&executed)?;
                    Ok(Some((executed, stored)))
                }
                Ok(executed) => Err(CallError::KeyPending(executed.record.id)),
                // Whether it ever started, nobody can tell any more; it must not start again.
                Err(ExecutionError::NotFound(id)) => Err(CallError::KeyUnsettled(id)),
                Err(error) => Err(error.into()),
            },
            |body| {
                // The record names its agent itself; this stands in for one that does not.
                let asked = AgentId::new("unknown").map_err(WireError::from)?;
                Ok(record::decode(body, &asked)?)
            },
        )
    }

    /// Runs a function and answers once the work is durable.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn start(&self, call: &Call) -> Result<ExecutionId, CallError> {
        let accepted = |id: &ExecutionId| (id.clone(), idempotency::accepted_answer(id));
        self.with_key(
            Mode::Async,
            call,
            |id| {
                self.dispatcher.start(id, call)?;
                Ok(accepted(id))
            },
            |execution| match self.executions.get(execution) {
                Ok(found) => Ok(Some(accepted(&found.record.id))),
                // Its route is stored before anything starts: without one, nothing has.
                Err(ExecutionError::NotFound(_)) => Ok(None),
                Err(error) => Err(error.into()),
            },
            |body| {
                let text = String::from_utf8_lossy(body);
                Ok(ExecutionId::new(&text).map_err(WireError::from)?)
            },
        )
    }

    /// Runs a call at most once for its key. `settle` says what became of an execution whose
    /// answer is not stored; `None` = it never started, and starts now under its first id.
    fn with_key<T>(
        &self,
        mode: Mode,
        call: &Call,
        run: impl Fn(&ExecutionId) -> Result<(T, StoredAnswer), CallError>,
        settle: impl Fn(&ExecutionId) -> Result<Option<(T, StoredAnswer)>, CallError>,
        replay: impl Fn(&[u8]) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let id = ExecutionId::generate();
        let Some(key) = &call.idempotency_key else {
            return run(&id).map(|(answer, _)| answer);
        };
        match self.keys.begin(key, mode, call, &id)? {
            Begun::First(guard) => run_guarded(guard, &id, run),
            Begun::Answered(stored) => replay(&stored.body),
            Begun::Unsettled(first) => match settle(&first)? {
                None => run_guarded(self.keys.resume(key, call, &first), &first, run),
                Some((answer, stored)) => {
                    self.keys.resume(key, call, &first).answered(&stored)?;
                    Ok(answer)
                }
            },
        }
    }
}

fn run_guarded<T>(
    guard: Guard<'_>,
    id: &ExecutionId,
    run: impl Fn(&ExecutionId) -> Result<(T, StoredAnswer), CallError>,
) -> Result<T, CallError> {
    match run(id) {
        Ok((answer, stored)) => {
            guard.answered(&stored)?;
            Ok(answer)
        }
        Err(error) => {
            if nothing_started(&error) {
                guard.abandon();
            }
            Err(error)
        }
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
        | CallError::Store(_)
        | CallError::Record(_) => false,
    }
}
