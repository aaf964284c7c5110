//! What a store does with the keys of idempotent calls.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::model::ids::ExecutionId;
use crate::store::error::StoreError;
use crate::store::idempotency::{Idempotency, IdempotencyKey};

/// Keys of idempotent calls.
///
/// # Errors
/// Those of every method of [`super::Store`].
pub trait KeyStore: Send + Sync {
    /// Claims a key for an execution, or says who has it. Of any number of simultaneous calls
    /// exactly one gets [`Idempotency::New`]. A key is free again `ttl` after it was claimed.
    ///
    /// # Errors
    /// [`StoreError::LimitReached`] when too many keys are in use.
    fn begin_idempotent(
        &self,
        key: &IdempotencyKey,
        fingerprint: &[u8; 32],
        execution: &ExecutionId,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Idempotency, StoreError>;

    /// Frees a key whose execution never started; whether it was this execution's.
    fn abandon_idempotent(
        &self,
        key: &IdempotencyKey,
        execution: &ExecutionId,
    ) -> Result<bool, StoreError>;

    /// Until when a key stands for an execution; `None` when none does at `now`.
    fn claimed_until(
        &self,
        execution: &ExecutionId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Forgets the keys whose time is over; how many.
    fn expire_idempotent(&self, now: Timestamp) -> Result<usize, StoreError>;
}
