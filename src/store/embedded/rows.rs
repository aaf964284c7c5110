//! From columns to values: every text and number is checked again on its way out.

use std::fmt::Display;

use rusqlite::{Connection, OptionalExtension, Params, Row};

use crate::base::atomic_file::FileError;
use crate::base::sqlite::Failure;
use crate::store::error::StoreError;

/// What reads and changes of this module result in.
pub(super) type Change<T> = Result<T, Failure<StoreError>>;

impl From<StoreError> for Failure<StoreError> {
    fn from(error: StoreError) -> Failure<StoreError> {
        Failure::Refused(error)
    }
}

impl From<FileError> for Failure<StoreError> {
    fn from(error: FileError) -> Failure<StoreError> {
        Failure::Refused(error.into())
    }
}

/// Ends a change with `error`.
pub(super) fn refuse<T>(error: StoreError) -> Change<T> {
    Err(Failure::Refused(error))
}

/// For `map_err`: names the entry that cannot be read back.
pub(super) fn corrupt<D: Display>(
    what: &'static str,
    key: &str,
) -> impl FnOnce(D) -> Failure<StoreError> {
    let key = key.to_owned();
    move |detail| {
        Failure::Refused(StoreError::Corrupt {
            what,
            key,
            detail: detail.to_string(),
        })
    }
}

/// The first row of `sql`, if there is one.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    connection
        .prepare_cached(sql)?
        .query_row(params, read)
        .optional()
}

/// All rows of `sql`.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection
        .prepare_cached(sql)?
        .query_map(params, read)?
        .collect()
}

/// Runs `sql` and says how many rows it changed.
pub(super) fn run(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(params)
}

/// Sizes and version numbers, which stay far below 2^63.
pub(super) fn to_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
