//! Records of executions: running, then ended, then forgotten.

use rusqlite::{Connection, params};

use super::ends;
use super::error::{JournalError, corrupt};
use crate::base::clock::Timestamp;
use crate::base::sqlite::{Failure, all, first, run};
use crate::model::ends::Mark;
use crate::model::execution::{Ending, ExecutionRecord, Status};
use crate::model::ids::{ExecutionId, FunctionName};
use crate::stored::record::encode;
pub(super) use crate::stored::record_table::decode_row;
use crate::stored::record_table::{self, Selection, id_and_body};

/// Records in one answer at the most; a caller that wants more asks on from the last one.
pub(crate) const MAX_LISTED: usize = 1000;

const TABLE: &str = "executions";

pub(super) type Change<T> = Result<T, Failure<JournalError>>;

/// Which records to list.
#[derive(Debug, Clone, Default)]
pub struct ExecutionFilter {
    /// Only those of this function.
    pub function: Option<FunctionName>,
    /// Only those in this status.
    pub status: Option<Status>,
    /// Only those whose id sorts before this one.
    pub before: Option<ExecutionId>,
    /// Only those that ended after this.
    pub ended_after: Option<Mark>,
}

pub(super) fn accept(connection: &Connection, record: &ExecutionRecord) -> Change<()> {
    if status_of(connection, &record.id)?.is_some() {
        return Err(exists(&record.id));
    }
    write(connection, record, None)
}

/// For an execution that is not written before it has ended.
pub(super) fn require_absent(connection: &Connection, id: &ExecutionId) -> Change<()> {
    match status_of(connection, id)? {
        Some(_) => Err(exists(id)),
        None => Ok(()),
    }
}

pub(super) fn finish(
    connection: &Connection,
    record: &ExecutionRecord,
    next_sequence: impl FnOnce() -> u64,
) -> Change<()> {
    match status_of(connection, &record.id)? {
        None | Some(Status::Running) => write(connection, record, Some(next_sequence())),
        Some(Status::Success | Status::Failed | Status::Cancelled) => {
            Err(JournalError::AlreadyEnded {
                id: record.id.clone(),
            }
            .into())
        }
    }
}

pub(super) fn get(connection: &Connection, id: &ExecutionId) -> Change<Option<ExecutionRecord>> {
    record_table::get(connection, TABLE, id)
}

pub(super) fn list(
    connection: &Connection,
    filter: &ExecutionFilter,
    limit: usize,
) -> Change<Vec<ExecutionRecord>> {
    let limit = limit.min(MAX_LISTED);
    let selection = Selection {
        function: filter.function.as_ref(),
        status: filter.status,
        before: filter.before.as_ref(),
    };
    match &filter.ended_after {
        Some(mark) => list_ended_after(connection, mark, &selection, limit),
        None => record_table::list(connection, TABLE, &selection, limit),
    }
}

/// These are few: whoever asks has kept all others.
fn list_ended_after(
    connection: &Connection,
    mark: &Mark,
    selection: &Selection<'_>,
    limit: usize,
) -> Change<Vec<ExecutionRecord>> {
    all(
        connection,
        "SELECT id, body FROM executions
         WHERE sequence > ?1 AND id < ?2 AND (?3 IS NULL OR function = ?3)
             AND (?4 IS NULL OR status = ?4)
         ORDER BY id DESC LIMIT ?5",
        params![
            ends::column(ends::resolve(connection, mark)?),
            selection.before(),
            selection.function.map(FunctionName::as_str),
            selection.status.map(Status::as_str),
            limit as i64
        ],
        id_and_body,
    )?
    .into_iter()
    .map(decode_row)
    .collect()
}

pub(super) fn mark_lost(
    connection: &Connection,
    now: Timestamp,
    error: &str,
    recorded: impl Fn(&ExecutionId) -> [u64; 2],
    mut next_sequence: impl FnMut() -> u64,
) -> Change<Vec<ExecutionId>> {
    let running = all(
        connection,
        "SELECT id, body FROM executions WHERE status = ?1 ORDER BY id",
        [Status::Running.as_str()],
        id_and_body,
    )?;
    let mut lost = Vec::with_capacity(running.len());
    for row in running {
        let mut record = decode_row(row)?;
        record.ending = Some(Ending::Lost);
        record.error = error.to_owned();
        record.status_at = now;
        record.duration = now.since(record.started_at);
        [record.stdout_bytes, record.stderr_bytes] = recorded(&record.id);
        write(connection, &record, Some(next_sequence()))?;
        lost.push(record.id);
    }
    Ok(lost)
}

/// `sequence`: its number, once it has ended.
pub(super) fn write(
    connection: &Connection,
    record: &ExecutionRecord,
    sequence: Option<u64>,
) -> Change<()> {
    run(
        connection,
        "INSERT INTO executions (id, function, status, sequence, ended_at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET function = excluded.function, status = excluded.status,
             sequence = excluded.sequence, ended_at = excluded.ended_at, body = excluded.body",
        params![
            record.id.as_str(),
            record.function.as_str(),
            record.status().as_str(),
            sequence.map(ends::column),
            sequence.map(|_| record.status_at.as_millis()),
            encode(record)
        ],
    )?;
    Ok(())
}

fn status_of(connection: &Connection, id: &ExecutionId) -> Change<Option<Status>> {
    first(
        connection,
        "SELECT status FROM executions WHERE id = ?1",
        [id.as_str()],
        |row| row.get::<_, String>(0),
    )?
    .map(|text| {
        Status::parse(&text)
            .ok_or_else(|| corrupt("execution", id.as_str())(format!("status {text:?}")))
    })
    .transpose()
}

fn exists(id: &ExecutionId) -> Failure<JournalError> {
    JournalError::Exists { id: id.clone() }.into()
}
