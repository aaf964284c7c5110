//! The history in one file of one machine.
//!
//! ```text
//! state_dir/history.db      records, output in pieces, marks
//! ```
//!
//! Apart from the store's file, so that what is large and comes in streams does not hold up what an
//! acceptance waits for. All changes go through the one writer; `store.rs` hands them there and the
//! other files say what each does.

mod lazy;
mod marks;
mod outputs;
mod records;
mod room;
mod schema;
mod store;

pub use store::SqliteHistory;
