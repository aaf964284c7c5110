//! What a store does with the keys of idempotent calls.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::model::ids::ExecutionId;
use crate::store::error::StoreError;
use crate::store::idempotency::{Idempotency, IdempotencyKey, StoredAnswer};

/// Keys of idempotent calls.
///
/// # Errors
/// See [`super::Store`]; others are named at the method.
pub trait KeyStore: Send + Sync {
    /// Claims a key for an execution, or says who has it. Of any number of simultaneous calls
    /// exactly one gets [`Idempotency::New`]. A key is free again `ttl` after it was claimed.
    ///
    /// # Errors
    /// [`StoreError::LimitReached`] when too many keys are in use; see the trait.
    fn begin_idempotent(
        &self,
        key: &IdempotencyKey,
        fingerprint: &[u8; 32],
        execution: &ExecutionId,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Idempotency, StoreError>;

    /// Records the answer for repetitions; the first one stays. False when the key is not this
    /// execution's any more, or has its answer.
    ///
    /// # Errors
    /// [`StoreError::LimitReached`] when the answer is over [`crate::store::MAX_ANSWER_BYTES`], or all
    /// answers together are too long; see the trait.
    fn finish_idempotent(
        &self,
        key: &IdempotencyKey,
        execution: &ExecutionId,
        answer: &StoredAnswer,
    ) -> Result<bool, StoreError>;

    /// Frees a key whose execution never started; whether it was this execution's and without
    /// an answer.
    ///
    /// # Errors
    /// See the trait.
    fn abandon_idempotent(
        &self,
        key: &IdempotencyKey,
        execution: &ExecutionId,
    ) -> Result<bool, StoreError>;

    /// Forgets the keys whose time is over; how many.
    ///
    /// # Errors
    /// See the trait.
    fn expire_idempotent(&self, now: Timestamp) -> Result<usize, StoreError>;
}
