//! The same key stands for the same execution, and never for a second run.
//!
//! A key is stored with its execution's id before anything starts; what it came to is the execution's
//! own record. One call at a time has a key in hand, from the look at the store to the answer: whoever
//! comes meanwhile is told so, and nobody starts what somebody else is finding out about.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openssl::sha::Sha256;

use super::calls::{Call, CallError};
use crate::base::causes::with_causes;
use crate::base::clock::Clock;
use crate::base::threads::lock;
use crate::model::ids::ExecutionId;
use crate::store::{Idempotency, IdempotencyKey, Store};

pub(crate) struct IdempotentCalls {
    store: Arc<dyn Store>,
    clock: Clock,
    retention: Duration,
    /// Keys that a call of this process has in hand.
    in_hand: Mutex<HashMap<IdempotencyKey, InHand>>,
}

#[derive(Debug, Clone)]
struct InHand {
    fingerprint: [u8; 32],
    execution: ExecutionId,
}

/// A key in hand.
pub(crate) struct Claim<'a> {
    calls: &'a IdempotentCalls,
    key: IdempotencyKey,
    execution: ExecutionId,
}

/// Whether the call was for its end or for its acceptance; part of what must be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `POST /execute/{name}`.
    Sync,
    /// `POST /execute/{name}/async`.
    Async,
}

impl IdempotentCalls {
    /// `retention`: how long a key is remembered.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, retention: Duration) -> IdempotentCalls {
        IdempotentCalls {
            store,
            clock,
            retention,
            in_hand: Mutex::default(),
        }
    }

    /// Takes a key in hand for `execution`; with one that was used before, for the execution of then,
    /// and says so.
    ///
    /// # Errors
    /// Another call has it in hand, or it was used for a different call; the store's.
    pub(crate) fn claim(
        &self,
        key: &str,
        mode: Mode,
        call: &Call,
        execution: &ExecutionId,
    ) -> Result<(Claim<'_>, bool), CallError> {
        let key = IdempotencyKey::new(&call.function, key);
        let fingerprint = fingerprint(mode, call);
        let mut claim = self.take_in_hand(key, fingerprint, execution)?;
        let found = self.store.begin_idempotent(
            &key,
            &fingerprint,
            execution,
            self.clock.now(),
            self.retention,
        )?;
        match found {
            Idempotency::New => Ok((claim, false)),
            Idempotency::Existing {
                fingerprint: first, ..
            } if first != fingerprint => Err(CallError::KeyReused),
            Idempotency::Existing { execution, .. } => {
                claim.is_for(execution);
                Ok((claim, true))
            }
        }
    }

    fn take_in_hand(
        &self,
        key: IdempotencyKey,
        fingerprint: [u8; 32],
        execution: &ExecutionId,
    ) -> Result<Claim<'_>, CallError> {
        match lock(&self.in_hand).entry(key) {
            Entry::Occupied(held) if held.get().fingerprint != fingerprint => {
                Err(CallError::KeyReused)
            }
            Entry::Occupied(held) => Err(CallError::KeyPending(held.get().execution.clone())),
            Entry::Vacant(free) => {
                free.insert(InHand {
                    fingerprint,
                    execution: execution.clone(),
                });
                Ok(Claim {
                    calls: self,
                    key,
                    execution: execution.clone(),
                })
            }
        }
    }
}

impl Claim<'_> {
    /// What the key stands for.
    pub(crate) fn execution(&self) -> &ExecutionId {
        &self.execution
    }

    /// Nothing was started: the key is free again.
    pub(crate) fn abandon(self) {
        let abandoned = self
            .calls
            .store
            .abandon_idempotent(&self.key, &self.execution);
        if let Err(error) = abandoned {
            log::warn!(
                "an idempotency key stays taken although nothing was started: {}",
                with_causes(&error)
            );
        }
    }

    fn is_for(&mut self, execution: ExecutionId) {
        if let Some(held) = lock(&self.calls.in_hand).get_mut(&self.key) {
            held.execution = execution.clone();
        }
        self.execution = execution;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        lock(&self.calls.in_hand).remove(&self.key);
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
