//! The fleet's state behind one trait for each subject: functions and their versions, archives,
//! agents, routes, idempotency keys, enrolment tokens, and the news of all of it. What has ended is in
//! `history`.
//!
//! Owns: what must outlive the control plane. Refuses: decisions; it compares and sets, and the
//! layers above decide what.
//! Invariants: an outage is an error and never an absence; what a method has returned from is on
//! disk, unless its text says otherwise; the stored form is not the domain types (`stored`).
//!
//! `embedded` keeps everything in one directory of one machine. The properties that every
//! implementation has are `tests/system/store_conformance`, written against the trait alone.

mod archives;
mod contract;
pub(crate) mod embedded;
mod error;
pub mod history;
mod idempotency;
mod rows;
mod values;

pub use archives::StoredArchive;
pub(crate) use archives::{ArchiveReader, ArchiveUpload};
pub use contract::{
    AgentStore, ArchiveStore, Changed, Changes, FunctionStore, KEPT_VERSIONS, KeyStore,
    ROUTES_PER_PAGE, RouteStore, Store,
};
pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub use idempotency::{Idempotency, IdempotencyKey};
pub use values::{EnrolmentToken, Revision, Route, Stored};
