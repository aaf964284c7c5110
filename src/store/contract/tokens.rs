//! What a store does with enrolment tokens.

use crate::base::clock::Timestamp;
use crate::store::error::StoreError;
use crate::store::values::EnrolmentToken;

/// Rights to enrol an agent, each of which works once.
///
/// # Errors
/// Those of every method of [`super::Store`].
pub trait TokenStore: Send + Sync {
    /// Stores a token, over an earlier one of the same id, and forgets those that are over.
    ///
    /// # Errors
    /// [`StoreError::LimitReached`].
    fn put_token(&self, token: &EnrolmentToken, now: Timestamp) -> Result<(), StoreError>;

    /// Takes a token out: of any number of simultaneous calls exactly one gets it. One that is
    /// over is absent.
    fn take_token(&self, id: &str, now: Timestamp) -> Result<Option<EnrolmentToken>, StoreError>;

    /// Reads a token and leaves it in place.
    fn peek_token(&self, id: &str, now: Timestamp) -> Result<Option<EnrolmentToken>, StoreError>;
}
