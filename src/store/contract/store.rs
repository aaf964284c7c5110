//! The store as a whole: every subject, and what is of none of them.

use super::{
    AgentStore, ArchiveStore, ChangeStore, FunctionStore, KeyStore, RouteStore, TokenStore,
};
use crate::store::error::StoreError;

/// The fleet's state, whole. Who needs one subject takes that subject's trait. Shared by all
/// threads; every method is atomic.
///
/// # Errors
/// Every method of every subject: [`StoreError::Unavailable`] when the store cannot be reached,
/// [`StoreError::Full`] when it cannot take a write, [`StoreError::Corrupt`] when an entry it has
/// to read is broken. A method names those that it has besides.
pub trait Store:
    AgentStore + FunctionStore + ArchiveStore + RouteStore + KeyStore + TokenStore + ChangeStore
{
    /// Whether the store answers; cheap enough for a probe every second.
    ///
    /// # Errors
    /// Why it does not.
    fn check(&self) -> Result<(), StoreError>;

    /// Returns once everything written lazily before is with the operating system: it survives
    /// the end of this process.
    fn flush(&self) -> Result<(), StoreError>;
}
