//! SQLite as both daemons use it: one file, one writer with group commit, a few readers.
//!
//! Owns: how a database is created, recognised, migrated, written and read. Refuses: knowing
//! what is stored; the layers above bring their tables and their statements.
//! Invariants: a file is only ever written by a program that knows its format; a write with
//! [`Commit::Synced`] has been fsynced when it returns; a read never waits for an fsync.

mod database;
mod error;
mod open;
mod readers;
mod statements;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use database::Database;
pub(crate) use error::Failure;
pub use error::{Reported, SqliteError};
pub(crate) use open::Schema;
pub(crate) use statements::{all, first, run};
pub(crate) use writer::Commit;
