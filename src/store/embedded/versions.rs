//! Versions of functions: numbered once, kept while they may be wanted back.

use rusqlite::{Connection, Row, params};

use super::functions;
use crate::base::clock::Timestamp;
use crate::base::sqlite::{all, run};
use crate::model::function::{Function, Version};
use crate::model::ids::{Digest, FunctionName};
use crate::store::archives::StoredArchive;
use crate::store::contract::KEPT_VERSIONS;
use crate::store::error::StoreError;
use crate::store::rows::{Change, corrupt, refuse, to_column};
use crate::store::values::Stored;

pub(super) fn add(
    connection: &Connection,
    name: &FunctionName,
    archive: &StoredArchive,
    now: Timestamp,
) -> Change<Stored<Function>> {
    let function = functions::require(connection, name)?;
    if function
        .value
        .active
        .as_ref()
        .is_some_and(|active| active.digest == archive.digest)
    {
        return Ok(function);
    }
    run(
        connection,
        "UPDATE functions SET last_version = last_version + 1, active = last_version + 1,
             updated_at = ?2 WHERE name = ?1",
        params![name.as_str(), now.as_millis()],
    )?;
    run(
        connection,
        "INSERT INTO versions (function, number, digest, size_bytes, created_at, activation)
         SELECT name, active, ?2, ?3, ?4,
             (SELECT ifnull(max(activation), 0) + 1 FROM versions WHERE function = ?1)
         FROM functions WHERE name = ?1",
        params![
            name.as_str(),
            archive.digest.as_str(),
            to_column(archive.size_bytes),
            now.as_millis()
        ],
    )?;
    // The active version is the one activated last, and so the first of this order.
    run(
        connection,
        "DELETE FROM versions WHERE function = ?1 AND number NOT IN (
             SELECT number FROM versions WHERE function = ?1
             ORDER BY activation DESC LIMIT 1 + ?2)",
        params![name.as_str(), KEPT_VERSIONS],
    )?;
    functions::written(connection, name)?;
    functions::require(connection, name)
}

pub(super) fn list(connection: &Connection, name: &FunctionName) -> Change<Vec<Version>> {
    all(
        connection,
        "SELECT number, digest, size_bytes, created_at FROM versions
         WHERE function = ?1 ORDER BY number DESC",
        [name.as_str()],
        |row| VersionRow::read_from(row, 0),
    )?
    .into_iter()
    .map(|row| row.decode(name.as_str()))
    .collect()
}

pub(super) fn activate(
    connection: &Connection,
    name: &FunctionName,
    number: u64,
    now: Timestamp,
) -> Change<Stored<Function>> {
    let function = functions::require(connection, name)?;
    if function
        .value
        .active
        .as_ref()
        .is_some_and(|active| active.number == number)
    {
        return Ok(function);
    }
    let kept = run(
        connection,
        "UPDATE versions SET activation =
             (SELECT max(activation) + 1 FROM versions WHERE function = ?1)
         WHERE function = ?1 AND number = ?2",
        params![name.as_str(), to_column(number)],
    )?;
    if kept == 0 {
        return refuse(StoreError::VersionNotKept {
            function: name.clone(),
            number,
        });
    }
    run(
        connection,
        "UPDATE functions SET active = ?2, updated_at = ?3 WHERE name = ?1",
        params![name.as_str(), to_column(number), now.as_millis()],
    )?;
    functions::written(connection, name)?;
    functions::require(connection, name)
}

/// Whether any version of any function needs the archive.
pub(super) fn refer_to(connection: &Connection, digest: &Digest) -> Change<bool> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM versions WHERE digest = ?1")?
        .exists([digest.as_str()])?)
}

pub(super) struct VersionRow {
    number: i64,
    digest: String,
    size_bytes: i64,
    created_at: i64,
}

impl VersionRow {
    /// From four columns, the first at `index`.
    pub(crate) fn read_from(row: &Row<'_>, index: usize) -> rusqlite::Result<VersionRow> {
        Ok(VersionRow {
            number: row.get(index)?,
            digest: row.get(index + 1)?,
            size_bytes: row.get(index + 2)?,
            created_at: row.get(index + 3)?,
        })
    }

    pub(crate) fn decode(self, function: &str) -> Change<Version> {
        let count = |number| u64::try_from(number).map_err(corrupt("version of", function));
        Ok(Version {
            number: count(self.number)?,
            digest: Digest::new(&self.digest).map_err(corrupt("version of", function))?,
            size_bytes: count(self.size_bytes)?,
            created_at: Timestamp::from_millis(self.created_at),
        })
    }
}
