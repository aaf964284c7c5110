//! What executions came to: their final records and their output, kept at home so that they outlive
//! the agents that ran them.
//!
//! Owns: the history store's contract, by subject (`contract`), and its implementations. Refuses:
//! what is open or desired, which is in the store beside it, and decisions about what to keep how
//! long: it says what is due and forgets what it is told to.
//! Invariants: the first record of an execution stays; a mark never says more than what is kept with
//! it. The properties that every implementation has are `tests/system/store_conformance`.

mod contract;
mod sqlite;

pub use contract::{
    Due, EndStore, HistoryStore, KeptOutput, OutputStore, RecordFilter, RecordStore, Wholeness,
};
pub use sqlite::SqliteHistory;
