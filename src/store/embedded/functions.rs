//! Functions: their configuration and which version is in force.

use rusqlite::{Connection, Row, params};

use super::changes;
use super::versions::VersionRow;
use crate::base::clock::Timestamp;
use crate::base::sqlite::{all, first, run};
use crate::model::function::{Function, FunctionConfig};
use crate::model::ids::FunctionName;
use crate::store::contract::Changed;
use crate::store::error::StoreError;
use crate::store::rows::{Change, corrupt};
use crate::store::values::{Revision, Stored};
use crate::stored::config::{decode, encode};

pub(super) fn put(
    connection: &Connection,
    config: &FunctionConfig,
    now: Timestamp,
) -> Change<Stored<Function>> {
    // An equal configuration is not touched, so that `updated_at` tells changes.
    let changed = run(
        connection,
        "INSERT INTO functions (name, config, created_at, updated_at, revision)
         VALUES (?1, ?2, ?3, ?3, 0)
         ON CONFLICT (name) DO UPDATE SET config = excluded.config, updated_at = excluded.updated_at
             WHERE config <> excluded.config",
        params![config.name.as_str(), encode(config), now.as_millis()],
    )?;
    if changed > 0 {
        written(connection, &config.name)?;
    }
    require(connection, &config.name)
}

/// Gives a function that was just written its new revision.
pub(super) fn written(connection: &Connection, name: &FunctionName) -> Change<()> {
    let revision = changes::written(connection, &Changed::Function(name.clone()))?;
    run(
        connection,
        "UPDATE functions SET revision = ?2 WHERE name = ?1",
        params![name.as_str(), changes::to_column(revision)],
    )?;
    Ok(())
}

pub(super) fn get(
    connection: &Connection,
    name: &FunctionName,
) -> Change<Option<Stored<Function>>> {
    first(
        connection,
        "SELECT f.name, f.config, f.created_at, f.updated_at, f.revision, f.active,
                v.number, v.digest, v.size_bytes, v.created_at
         FROM functions f LEFT JOIN versions v ON v.function = f.name AND v.number = f.active
         WHERE f.name = ?1",
        [name.as_str()],
        FunctionRow::read,
    )?
    .map(FunctionRow::decode)
    .transpose()
}

/// The same for a change that cannot do without.
pub(super) fn require(connection: &Connection, name: &FunctionName) -> Change<Stored<Function>> {
    get(connection, name)?.ok_or_else(|| {
        StoreError::FunctionNotFound {
            function: name.clone(),
        }
        .into()
    })
}

pub(super) fn list(connection: &Connection) -> Change<Vec<Stored<Function>>> {
    all(
        connection,
        "SELECT f.name, f.config, f.created_at, f.updated_at, f.revision, f.active,
                v.number, v.digest, v.size_bytes, v.created_at
         FROM functions f LEFT JOIN versions v ON v.function = f.name AND v.number = f.active
         ORDER BY f.name",
        (),
        FunctionRow::read,
    )?
    .into_iter()
    .map(FunctionRow::decode)
    .collect()
}

pub(super) fn delete(connection: &Connection, name: &FunctionName) -> Change<Option<Revision>> {
    let deleted = run(
        connection,
        "DELETE FROM functions WHERE name = ?1",
        [name.as_str()],
    )?;
    if deleted == 0 {
        return Ok(None);
    }
    changes::gone(connection, &Changed::Function(name.clone())).map(Some)
}

struct FunctionRow {
    name: String,
    config: String,
    created_at: i64,
    updated_at: i64,
    revision: i64,
    active: Option<i64>,
    version: Option<VersionRow>,
}

impl FunctionRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<FunctionRow> {
        let number: Option<i64> = row.get(6)?;
        Ok(FunctionRow {
            name: row.get(0)?,
            config: row.get(1)?,
            created_at: row.get(2)?,
            updated_at: row.get(3)?,
            revision: row.get(4)?,
            active: row.get(5)?,
            version: number.map(|_| VersionRow::read_from(row, 6)).transpose()?,
        })
    }

    fn decode(self) -> Change<Stored<Function>> {
        if self.active.is_some() && self.version.is_none() {
            return Err(corrupt("function", &self.name)(
                "its active version is not there",
            ));
        }
        let active = self.version.map(|version| version.decode(&self.name));
        Ok(Stored {
            value: Function {
                config: decode(&self.config).map_err(corrupt("function", &self.name))?,
                active: active.transpose()?,
                created_at: Timestamp::from_millis(self.created_at),
                updated_at: Timestamp::from_millis(self.updated_at),
            },
            revision: changes::from_column("function", &self.name, self.revision)?,
        })
    }
}
