//! The same key gives the first answer again, and never a second run.
//!
//! A key is stored with its execution's id before anything starts, and with the answer after.
//! What lies between a crash and the next call with that key is settled by asking what became of
//! that execution.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openssl::sha::Sha256;

use super::calls::{Call, CallError};
use crate::base::clock::Clock;
use crate::base::threads::lock;
use crate::model::execution::Executed;
use crate::model::ids::ExecutionId;
use crate::store::{Idempotency, IdempotencyKey, Store, StoreError, StoredAnswer};
use crate::wire::record;

/// See the module's text.
pub struct IdempotentCalls {
    store: Arc<dyn Store>,
    clock: Clock,
    retention: Duration,
    /// Executions whose first call is still in this process.
    under_way: Mutex<HashSet<ExecutionId>>,
}

/// What a key stands for.
pub enum Begun<'a> {
    /// Nothing yet: run it, under this guard.
    First(Guard<'a>),
    /// An answer was given.
    Answered(StoredAnswer),
    /// A call is or was about this execution, and no answer is stored.
    Unsettled(ExecutionId),
}

/// Marks the first call as under way.
pub struct Guard<'a> {
    calls: &'a IdempotentCalls,
    key: IdempotencyKey,
    execution: ExecutionId,
}

/// Whether the call was for its end or for its acceptance; part of what must be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `POST /execute/{name}`.
    Sync,
    /// `POST /execute/{name}/async`.
    Async,
}

impl IdempotentCalls {
    /// `retention`: how long a key is remembered.
    pub fn new(store: Arc<dyn Store>, clock: Clock, retention: Duration) -> IdempotentCalls {
        IdempotentCalls {
            store,
            clock,
            retention,
            under_way: Mutex::new(HashSet::new()),
        }
    }

    /// Looks the key up, or stores it for `execution`.
    ///
    /// # Errors
    /// The key was used for another call; the store's.
    pub fn begin(
        &self,
        key: &str,
        mode: Mode,
        call: &Call,
        execution: &ExecutionId,
    ) -> Result<Begun<'_>, CallError> {
        let key = IdempotencyKey::new(&call.function, key);
        let fingerprint = fingerprint(mode, call);
        lock(&self.under_way).insert(execution.clone());
        let guard = Guard {
            calls: self,
            key,
            execution: execution.clone(),
        };
        let begun = self.store.begin_idempotent(
            &guard.key,
            &fingerprint,
            execution,
            self.clock.now(),
            self.retention,
        )?;
        match begun {
            Idempotency::New => Ok(Begun::First(guard)),
            Idempotency::Existing {
                fingerprint: first, ..
            } if first != fingerprint => Err(CallError::KeyReused),
            Idempotency::Existing {
                answer: Some(answer),
                ..
            } => Ok(Begun::Answered(answer)),
            Idempotency::Existing { execution, .. }
                if lock(&self.under_way).contains(&execution) =>
            {
                Err(CallError::KeyPending(execution))
            }
            Idempotency::Existing { execution, .. } => Ok(Begun::Unsettled(execution)),
        }
    }

    /// Takes up a call whose first attempt ended with this process's predecessor.
    pub fn resume(&self, key: &str, call: &Call, execution: &ExecutionId) -> Guard<'_> {
        lock(&self.under_way).insert(execution.clone());
        Guard {
            calls: self,
            key: IdempotencyKey::new(&call.function, key),
            execution: execution.clone(),
        }
    }
}

impl Guard<'_> {
    /// Stores the answer for whoever asks again.
    ///
    /// # Errors
    /// The store's.
    pub fn answered(self, answer: &StoredAnswer) -> Result<(), CallError> {
        match self
            .calls
            .store
            .finish_idempotent(&self.key, &self.execution, answer)
        {
            Ok(_) => Ok(()),
            // Too large to keep: as long as its record lives, the answer is made from that.
            Err(StoreError::LimitReached { what, limit }) => {
                log::info!(
                    "execution {}: its answer is not kept: {what} over {limit}",
                    self.execution
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Nothing was started: the key is free again.
    pub fn abandon(self) {
        if let Err(error) = self
            .calls
            .store
            .abandon_idempotent(&self.key, &self.execution)
        {
            log::warn!("an idempotency key stays taken although nothing was started: {error}");
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        lock(&self.calls.under_way).remove(&self.execution);
    }
}

/// The answer to a synchronous call, as it is stored.
///
/// # Errors
/// When the record makes no JSON.
pub fn ended_answer(execution: &Executed) -> Result<StoredAnswer, CallError> {
    Ok(StoredAnswer {
        status: 200,
        body: record::encode(execution)?,
    })
}

/// The answer to an asynchronous call, as it is stored.
pub fn accepted_answer(execution: &ExecutionId) -> StoredAnswer {
    StoredAnswer {
        status: 202,
        body: execution.as_str().as_bytes().to_vec(),
    }
}

/// SHA-256 over everything that makes the call what it is, each part with its length, so that no
/// two calls share an encoding.
fn fingerprint(mode: Mode, call: &Call) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(match mode {
        Mode::Sync => b"sync",
        Mode::Async => b"async",
    });
    part(call.function.as_str().as_bytes());
    part(&(call.args.len() as u64).to_le_bytes());
    for arg in &call.args {
        part(arg.as_bytes());
    }
    part(&call.stdin);
    for (name, value) in &call.env {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    let timeout = call.timeout.map_or(0, |timeout| timeout.as_millis());
    part(&timeout.to_le_bytes());
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::model::function::Env;
    use crate::model::ids::FunctionName;

    fn call(args: &[&str], stdin: &[u8]) -> Call {
        Call {
            function: FunctionName::new("f").expect("name"),
            args: args.iter().map(ToString::to_string).collect(),
            stdin: stdin.to_vec(),
            env: Env::new(),
            timeout: None,
            idempotency_key: None,
            client_gone: Cancel::never(),
        }
    }

    #[test]
    fn calls_that_differ_in_anything_have_different_fingerprints() {
        let base = fingerprint(Mode::Sync, &call(&["a", "b"], b"x"));
        assert_eq!(base, fingerprint(Mode::Sync, &call(&["a", "b"], b"x")));
        for other in [
            fingerprint(Mode::Async, &call(&["a", "b"], b"x")),
            fingerprint(Mode::Sync, &call(&["ab"], b"x")),
            fingerprint(Mode::Sync, &call(&["a"], b"bx")),
            fingerprint(Mode::Sync, &call(&["a", "b"], b"")),
            fingerprint(Mode::Sync, &call(&["a", "b", ""], b"x")),
        ] {
            assert_ne!(base, other);
        }
    }
}
