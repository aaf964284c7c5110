//! Every store and every history keeps the same contract: one test for each property and
//! implementation.
//!
//! The properties use the public trait alone, which is why they live here and not in the library:
//! no feature has to switch them on, and none of them can lean on an implementation's inside.
//! An implementation joins with a `Bench` and one line of `conformance!`.

pub mod agents;
pub mod archives;
pub mod bench;
pub mod changes;
mod contract;
pub mod embedded;
pub mod ends;
pub mod functions;
pub mod idempotency;
pub mod outputs;
pub mod records;
pub mod routes;
pub mod sqlite_history;
pub mod tokens;
pub mod versions;
