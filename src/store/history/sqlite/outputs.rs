//! Output, in pieces, beside the record that says how much of it there is.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::records::{ids, ids_with_bytes};
use crate::base::clock::Timestamp;
use crate::base::sqlite::{all, first, run};
use crate::model::ids::{AgentId, ExecutionId};
use crate::model::output::Segments;
use crate::store::history::contract::{KeptOutput, Wholeness};
use crate::store::rows::{Change, corrupt, to_column};

/// Bytes of one piece at the most: a read of a little need not read much.
const PIECE_BYTES: usize = 256 << 10;

const WHAT: &str = "output of";

/// Takes up an output that was not here yet.
pub(super) fn fill(
    connection: &Connection,
    id: &ExecutionId,
    output: &KeptOutput,
    bytes: &[u8],
) -> Change<()> {
    if !complete(connection, id, output)? {
        return Ok(());
    }
    forget_pieces(connection, id)?;
    insert(connection, id, 0, bytes)
}

pub(super) fn get(connection: &Connection, id: &ExecutionId) -> Change<Option<KeptOutput>> {
    first(
        connection,
        "SELECT output, output_bytes, changes FROM records WHERE id = ?1",
        [id.as_str()],
        OutputRow::read,
    )?
    .map(|row| row.decode(id))
    .transpose()
}

/// As far as there are bytes.
pub(super) fn read(
    connection: &Connection,
    id: &ExecutionId,
    range: &Range<u64>,
) -> Change<Vec<u8>> {
    let mut data = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let piece: Option<(i64, Vec<u8>)> = connection
            .prepare_cached(
                "SELECT position, data FROM output WHERE execution = ?1 AND position <= ?2
                 ORDER BY position DESC LIMIT 1",
            )?
            .query_row(params![id.as_str(), to_column(at)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((position, piece)) = piece else {
            break;
        };
        let skipped = usize::try_from(at.saturating_sub(position.unsigned_abs())).unwrap_or(0);
        let wanted = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let Some(rest) = piece.get(skipped..).filter(|rest| !rest.is_empty()) else {
            break;
        };
        let taken = &rest[..rest.len().min(wanted)];
        data.extend_from_slice(taken);
        at += taken.len() as u64;
    }
    Ok(data)
}

pub(super) fn add(
    connection: &Connection,
    id: &ExecutionId,
    position: u64,
    data: &[u8],
) -> Change<bool> {
    if !is_waited_for(connection, id)? {
        return Ok(false);
    }
    insert(connection, id, position, data)?;
    Ok(true)
}

pub(super) fn complete(
    connection: &Connection,
    id: &ExecutionId,
    output: &KeptOutput,
) -> Change<bool> {
    let changed = run(
        connection,
        "UPDATE records SET output = ?2, output_bytes = ?3, changes = ?4
         WHERE id = ?1 AND output = 2",
        params![
            id.as_str(),
            wholeness_column(output.wholeness),
            to_column(output.bytes),
            changes_column(&output.segments)
        ],
    )?;
    Ok(changed > 0)
}

pub(super) fn at_agent(
    connection: &Connection,
    agent: &AgentId,
    limit: usize,
) -> Change<Vec<ExecutionId>> {
    ids(all(
        connection,
        "SELECT id FROM records WHERE agent = ?1 AND output = 2 ORDER BY sequence LIMIT ?2",
        params![agent.as_str(), limit as i64],
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
        "SELECT id, output_bytes FROM records WHERE reprieved_until <= ?1 AND output_bytes > 0
         ORDER BY ended_at LIMIT ?2",
        params![now.as_millis(), limit as i64],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?)
}

pub(super) fn forget(connection: &Connection, ids: &[ExecutionId]) -> Change<()> {
    for id in ids {
        run(
            connection,
            "UPDATE records SET output = 1, output_bytes = 0, changes = NULL WHERE id = ?1",
            [id.as_str()],
        )?;
        forget_pieces(connection, id)?;
    }
    Ok(())
}

/// The agent is gone, and what was not fetched with it.
pub(super) fn forget_at(connection: &Connection, agent: &AgentId) -> Change<()> {
    let gone = at_agent(connection, agent, i64::MAX as usize)?;
    forget(connection, &gone)
}

fn is_waited_for(connection: &Connection, id: &ExecutionId) -> Change<bool> {
    let waits = first(
        connection,
        "SELECT 1 FROM records WHERE id = ?1 AND output = 2",
        [id.as_str()],
        |_| Ok(()),
    )?;
    Ok(waits.is_some())
}

/// In pieces, over what an earlier attempt has left.
pub(super) fn insert(
    connection: &Connection,
    id: &ExecutionId,
    position: u64,
    data: &[u8],
) -> Change<()> {
    let mut at = position;
    for piece in data.chunks(PIECE_BYTES) {
        run(
            connection,
            "INSERT OR REPLACE INTO output (execution, position, data) VALUES (?1, ?2, ?3)",
            params![id.as_str(), to_column(at), piece],
        )?;
        at += piece.len() as u64;
    }
    Ok(())
}

fn forget_pieces(connection: &Connection, id: &ExecutionId) -> Change<()> {
    run(
        connection,
        "DELETE FROM output WHERE execution = ?1",
        [id.as_str()],
    )?;
    Ok(())
}

pub(super) const fn wholeness_column(wholeness: Wholeness) -> i64 {
    match wholeness {
        Wholeness::Whole => 0,
        Wholeness::Partial => 1,
        Wholeness::AtAgent => 2,
    }
}

/// Null for an output of stdout alone.
pub(super) fn changes_column(segments: &Segments) -> Option<Vec<u8>> {
    let starts = segments.starts();
    (!starts.is_empty()).then(|| {
        let bytes = starts.iter().flat_map(|start| start.to_le_bytes());
        bytes.collect()
    })
}

struct OutputRow {
    output: i64,
    bytes: i64,
    changes: Option<Vec<u8>>,
}

impl OutputRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<OutputRow> {
        Ok(OutputRow {
            output: row.get(0)?,
            bytes: row.get(1)?,
            changes: row.get(2)?,
        })
    }

    fn decode(self, id: &ExecutionId) -> Change<KeptOutput> {
        let broken = |detail| corrupt(WHAT, id.as_str())(detail);
        let wholeness = match self.output {
            0 => Wholeness::Whole,
            1 => Wholeness::Partial,
            2 => Wholeness::AtAgent,
            _ => return Err(broken("it is neither whole, partial nor at its agent")),
        };
        let changes = self.changes.unwrap_or_default();
        let (starts, rest) = changes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(broken("a change of stream has 8 bytes"));
        }
        let starts = starts.iter().map(|start| u64::from_le_bytes(*start));
        let bytes = self.bytes.unsigned_abs();
        Ok(KeptOutput {
            wholeness,
            bytes,
            segments: Segments::from_starts(starts.collect(), bytes)
                .ok_or_else(|| broken("its changes of stream are not in order"))?,
        })
    }
}
