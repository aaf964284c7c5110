//! Records of executions.

use rusqlite::{Connection, params};

use super::outputs;
use crate::base::clock::Timestamp;
use crate::base::sqlite::{all, run};
use crate::model::ends::{Ended, EndedOutput};
use crate::model::execution::{ExecutionRecord, Status};
use crate::model::ids::ExecutionId;
use crate::store::history::contract::{Due, KeptOutput, RecordFilter, Wholeness};
use crate::store::rows::{Change, corrupt, to_column};
use crate::stored::record::encode;
use crate::stored::record_table::{self, Selection};

const TABLE: &str = "records";

/// Keeps one, unless it is kept; takes up an output that was not here yet. `sequence` 0 = not known.
pub(super) fn keep(connection: &Connection, ended: &Ended, sequence: u64) -> Change<()> {
    let record = &ended.record;
    let output = KeptOutput::of(&ended.output);
    let inserted = run(
        connection,
        "INSERT OR IGNORE INTO records
             (id, agent, function, status, ended_at, sequence, output, output_bytes, changes, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            record.id.as_str(),
            record.agent.as_str(),
            record.function.as_str(),
            record.status().as_str(),
            record.status_at.as_millis(),
            to_column(sequence),
            outputs::wholeness_column(output.wholeness),
            to_column(output.bytes),
            outputs::changes_column(&output.segments),
            encode(record),
        ],
    )?;
    let bytes: &[u8] = match &ended.output {
        EndedOutput::Whole(output) | EndedOutput::Cut(output) => &output.bytes,
        EndedOutput::AtAgent => &[],
    };
    if inserted > 0 {
        return outputs::insert(connection, &record.id, 0, bytes);
    }
    // It came with the answer to its call, say, and is told as an end now.
    if sequence > 0 {
        run(
            connection,
            "UPDATE records SET sequence = ?2 WHERE id = ?1 AND agent = ?3 AND output = 2",
            params![
                record.id.as_str(),
                to_column(sequence),
                record.agent.as_str()
            ],
        )?;
    }
    match output.wholeness {
        Wholeness::Whole | Wholeness::Partial => {
            outputs::fill(connection, &record.id, &output, bytes)
        }
        Wholeness::AtAgent => Ok(()),
    }
}

pub(super) fn get(connection: &Connection, id: &ExecutionId) -> Change<Option<ExecutionRecord>> {
    record_table::get(connection, TABLE, id)
}

pub(super) fn list(
    connection: &Connection,
    filter: &RecordFilter,
    limit: usize,
) -> Change<Vec<ExecutionRecord>> {
    let selection = Selection {
        function: filter.function.as_ref(),
        status: filter.status,
        before: filter.before.as_ref(),
    };
    record_table::list(connection, TABLE, &selection, limit)
}

pub(super) fn due(connection: &Connection, due: &Due, limit: usize) -> Change<Vec<ExecutionId>> {
    ids(all(
        connection,
        "SELECT id FROM records
         WHERE ended_at <= max(?1, ?2) AND ended_at <= iif(status = ?3, ?1, ?2)
             AND reprieved_until <= ?4
         ORDER BY ended_at LIMIT ?5",
        params![
            due.successes_before.as_millis(),
            due.others_before.as_millis(),
            Status::Success.as_str(),
            due.now.as_millis(),
            limit as i64
        ],
        |row| row.get(0),
    )?)
}

pub(super) fn oldest(
    connection: &Connection,
    now: Timestamp,
    limit: usize,
) -> Change<Vec<(ExecutionId, u64)>> {
    ids_with_bytes(all(
        connection,
        "SELECT id, length(body) FROM records WHERE reprieved_until <= ?1
         ORDER BY ended_at LIMIT ?2",
        params![now.as_millis(), limit as i64],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?)
}

pub(super) fn reprieve(
    connection: &Connection,
    id: &ExecutionId,
    until: Timestamp,
) -> Change<bool> {
    let changed = run(
        connection,
        "UPDATE records SET reprieved_until = ?2 WHERE id = ?1",
        params![id.as_str(), until.as_millis()],
    )?;
    Ok(changed > 0)
}

pub(super) fn forget(connection: &Connection, ids: &[ExecutionId]) -> Change<usize> {
    let mut forgotten = 0;
    for id in ids {
        // Its output goes with it.
        forgotten += run(
            connection,
            "DELETE FROM records WHERE id = ?1",
            [id.as_str()],
        )?;
    }
    Ok(forgotten)
}

pub(super) fn ids(texts: Vec<String>) -> Change<Vec<ExecutionId>> {
    texts
        .into_iter()
        .map(|id| ExecutionId::new(&id).map_err(corrupt("execution", &id)))
        .collect()
}

pub(super) fn ids_with_bytes(rows: Vec<(String, i64)>) -> Change<Vec<(ExecutionId, u64)>> {
    let (texts, bytes): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    Ok(ids(texts)?
        .into_iter()
        .zip(bytes.into_iter().map(i64::unsigned_abs))
        .collect())
}
