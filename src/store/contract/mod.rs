//! The contract, by subject: what every store does. The sentences here are the properties of
//! `tests/system/store_conformance`.

mod agents;
mod archives;
mod changes;
mod functions;
mod keys;
mod routes;
mod tokens;

pub use agents::AgentStore;
pub use archives::ArchiveStore;
pub use changes::{Change, ChangeStore, Changed, Changes};
pub use functions::{FunctionStore, KEPT_VERSIONS};
pub use keys::KeyStore;
pub use routes::{ROUTES_PER_PAGE, RouteStore};
pub use tokens::TokenStore;

use super::error::StoreError;

/// The fleet's state, whole. Who needs one subject takes that subject's trait. Shared by all
/// threads; every method is atomic.
///
/// # Errors
/// Every method of every subject: [`StoreError::Unavailable`] when the store cannot be reached,
/// [`StoreError::Full`] when it cannot take a write, [`StoreError::Corrupt`] when an entry it has
/// to read is broken.
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
    ///
    /// # Errors
    /// See the trait.
    fn flush(&self) -> Result<(), StoreError>;
}
