//! The contract, by subject: what every store does. The sentences here are the properties of
//! `tests/system/store_conformance`.

mod agents;
mod archives;
mod changes;
mod functions;
mod keys;
mod routes;
mod store;
mod tokens;

pub use agents::AgentStore;
pub use archives::ArchiveStore;
pub(crate) use changes::{Change, ChangeStore};
pub use changes::{Changed, Changes};
pub use functions::{FunctionStore, KEPT_VERSIONS};
pub use keys::KeyStore;
pub use routes::{ROUTES_PER_PAGE, RouteStore};
pub use store::Store;
pub(crate) use tokens::TokenStore;
