//! How records are read back from a table of them. The agent's journal and the control plane's history
//! each have one: an `id` and a `body`, and columns `function` and `status` to select by.

use rusqlite::{Connection, Row, ToSql};

use super::corrupt::{Corrupt, corrupt};
use super::record::decode;
use crate::base::sqlite::{Failure, all, first};
use crate::model::execution::{ExecutionRecord, Status};
use crate::model::ids::{ExecutionId, FunctionName};

/// Sorts behind every execution id, which are letters, digits, `_` and `-`.
const BEHIND_EVERY_ID: &str = "~";

/// Which records to list: those that fit everything that is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selection<'a> {
    pub function: Option<&'a FunctionName>,
    pub status: Option<Status>,
    /// Only records whose id sorts before this one.
    pub before: Option<&'a ExecutionId>,
}

impl Selection<'_> {
    /// A text that the id of every record sought sorts before.
    pub(crate) fn before(&self) -> &str {
        self.before.map_or(BEHIND_EVERY_ID, ExecutionId::as_str)
    }
}

/// The record of this execution, if the table has one.
pub(crate) fn get<E: From<Corrupt>>(
    connection: &Connection,
    table: &'static str,
    id: &ExecutionId,
) -> Result<Option<ExecutionRecord>, Failure<E>> {
    let sql = format!("SELECT id, body FROM {table} WHERE id = ?");
    first(connection, &sql, [id.as_str()], id_and_body)?
        .map(decode_row)
        .transpose()
}

/// The last records by id, which is the order in which they began.
pub(crate) fn list<E: From<Corrupt>>(
    connection: &Connection,
    table: &'static str,
    selection: &Selection<'_>,
    limit: usize,
) -> Result<Vec<ExecutionRecord>, Failure<E>> {
    let before = selection.before();
    let function = selection.function.map(FunctionName::as_str);
    let status = selection.status.map(Status::as_str);
    let limit = limit as i64;
    // A statement of its own for each combination, so that each has its index.
    let mut sql = format!("SELECT id, body FROM {table} WHERE id < ?");
    let mut params: Vec<&dyn ToSql> = vec![&before];
    if let Some(function) = &function {
        sql.push_str(" AND function = ?");
        params.push(function);
    }
    if let Some(status) = &status {
        sql.push_str(" AND status = ?");
        params.push(status);
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    params.push(&limit);
    all(connection, &sql, &params[..], id_and_body)?
        .into_iter()
        .map(decode_row)
        .collect()
}

/// For statements that select `id, body`.
pub(crate) fn id_and_body(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

pub(crate) fn decode_row<E: From<Corrupt>>(
    (id, body): (String, String),
) -> Result<ExecutionRecord, Failure<E>> {
    decode(&body).map_err(corrupt("execution", &id))
}
