//! The store in one directory of one machine: a SQLite database and a directory of archives.
//!
//! ```text
//! state_dir/flux.db         functions, versions, agents, routes, idempotency keys, tokens
//! state_dir/archives/       <sha256>.zip, and unfinished uploads
//! state_dir/store.lock      held while the store is open
//! ```
//!
//! Invariant: all changes go through the one writer, so each is checked and applied in one place
//! and in one order; `store.rs` hands them there and the other files say what each does.

mod agents;
mod archive_directory;
mod changes;
mod functions;
mod idempotency_keys;
mod lazy_routes;
mod news;
mod routes;
mod schema;
mod store;
mod tokens;
mod versions;

pub use store::EmbeddedStore;
