//! What the agent holds: the configuration and the code of each function it was given.

use rusqlite::{Connection, Row, params};

use super::error::corrupt;
use super::executions::Change;
use crate::base::sqlite::{all, run};
use crate::model::function::{Code, FunctionConfig};
use crate::model::ids::{Digest, FunctionName};
use crate::stored::config::{decode, encode};

/// A function as this agent has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldFunction {
    /// The configuration in force here.
    pub config: FunctionConfig,
    /// The control plane's name for this configuration; empty from one that has none.
    pub config_digest: String,
    /// Absent until the first deploy.
    pub code: Option<Code>,
    /// The user that it has for itself, if it has one.
    pub uid: Option<u32>,
}

pub(super) fn put(connection: &Connection, function: &HeldFunction) -> Change<()> {
    let code = function.code.as_ref();
    // Not "OR REPLACE", which would remove another function that has the same uid.
    run(
        connection,
        "INSERT INTO functions (name, config, config_digest, version, digest, uid)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (name) DO UPDATE SET
             config = excluded.config,
             config_digest = excluded.config_digest,
             version = excluded.version,
             digest = excluded.digest,
             uid = excluded.uid",
        params![
            function.config.name.as_str(),
            encode(&function.config),
            function.config_digest,
            code.map(|code| i64::try_from(code.version).unwrap_or(i64::MAX)),
            code.map(|code| code.digest.as_str()),
            function.uid,
        ],
    )?;
    Ok(())
}

pub(super) fn list(connection: &Connection) -> Change<Vec<HeldFunction>> {
    all(
        connection,
        "SELECT name, config, config_digest, version, digest, uid FROM functions ORDER BY name",
        (),
        FunctionRow::read,
    )?
    .into_iter()
    .map(FunctionRow::decode)
    .collect()
}

pub(super) fn remove(connection: &Connection, name: &FunctionName) -> Change<bool> {
    let removed = run(
        connection,
        "DELETE FROM functions WHERE name = ?1",
        [name.as_str()],
    )?;
    Ok(removed > 0)
}

struct FunctionRow {
    name: String,
    config: String,
    config_digest: String,
    version: Option<i64>,
    digest: Option<String>,
    uid: Option<u32>,
}

impl FunctionRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<FunctionRow> {
        Ok(FunctionRow {
            name: row.get(0)?,
            config: row.get(1)?,
            config_digest: row.get(2)?,
            version: row.get(3)?,
            digest: row.get(4)?,
            uid: row.get(5)?,
        })
    }

    fn decode(self) -> Change<HeldFunction> {
        let name = &self.name;
        let code = match (self.version, self.digest) {
            (Some(version), Some(digest)) => Some(Code {
                version: u64::try_from(version).map_err(corrupt("function", name))?,
                digest: Digest::new(&digest).map_err(corrupt("function", name))?,
            }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(corrupt("function", name)(
                    "a version and a digest come together",
                ));
            }
        };
        Ok(HeldFunction {
            config: decode(&self.config).map_err(corrupt("function", name))?,
            config_digest: self.config_digest,
            code,
            uid: self.uid,
        })
    }
}
