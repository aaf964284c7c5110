//! The ends in their order: a number for each, and how far a control plane has kept them.
//!
//! A number is given with the end it is for, in one transaction. A power cut may take ends that were
//! not synced, and their numbers are given again; so each start of the agent notes from where on the
//! numbers are its own, and a mark from before is cut to what is left of its start.

use rusqlite::Connection;

use super::error::corrupt;
use super::executions::{self, Change};
use crate::base::clock::Timestamp;
use crate::base::sqlite::{all, first, run};
use crate::model::ends::{Mark, Settled};
use crate::model::execution::ExecutionRecord;
use crate::model::ids::ExecutionId;

/// Ends in one portion at the most.
pub(crate) const MAX_ENDS: usize = 256;
/// Records that one transaction forgets: others wait for it.
const EXPIRED_AT_ONCE: usize = 1000;

const KEPT: &str = "kept";
const FORGOTTEN_UNTIL: &str = "forgotten_until";

/// Where a start of the agent takes up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    /// The first number that it gives.
    pub first: u64,
    /// The last one that a control plane has said to have kept; `None` when none ever said so.
    pub kept: Option<u64>,
}

/// Which records are forgotten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expiry {
    /// Records of executions that ended before this.
    pub ended_before: Timestamp,
    /// Unless no control plane has kept them, and they ended after this.
    pub unkept_before: Timestamp,
    /// Up to this number they are kept.
    pub kept: Option<u64>,
}

/// Ends in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Portion {
    /// The number that they come after.
    pub after: u64,
    /// Each with its number.
    pub ends: Vec<(u64, ExecutionRecord)>,
}

/// Notes a start of the agent, and forgets those of which no record is left.
pub(super) fn begin(connection: &Connection, boot_id: &str) -> Change<Begun> {
    let last: Option<i64> = first(
        connection,
        "SELECT max(sequence) FROM executions",
        (),
        |row| row.get(0),
    )?
    .flatten();
    // A number up to which ends are kept is never given again, also when their records are gone: what gets it
    // would be taken for kept.
    let kept = mark(connection, KEPT)?;
    let first_own = last.unwrap_or(0).max(kept.unwrap_or(0)) + 1;
    run(
        connection,
        "INSERT INTO starts (boot_id, first_sequence) VALUES (?1, ?2)",
        (boot_id, first_own),
    )?;
    run(
        connection,
        "DELETE FROM starts WHERE
             (SELECT next.first_sequence FROM starts AS next WHERE next.number > starts.number
              ORDER BY next.number LIMIT 1)
             <= coalesce((SELECT min(sequence) FROM executions), ?1)",
        [first_own],
    )?;
    Ok(Begun {
        first: number(first_own)?,
        kept: kept.map(number).transpose()?,
    })
}

/// The last of the numbers that `mark` stands for; 0 for a start that is not known here any more,
/// so that everything is told again.
pub(super) fn resolve(connection: &Connection, mark: &Mark) -> Change<u64> {
    let next: Option<Option<i64>> = first(
        connection,
        "SELECT (SELECT next.first_sequence FROM starts AS next WHERE next.number > starts.number
                 ORDER BY next.number LIMIT 1)
         FROM starts WHERE boot_id = ?1",
        [&mark.boot_id],
        |row| row.get(0),
    )?;
    Ok(match next {
        None => 0,
        Some(None) => mark.sequence,
        Some(Some(next)) => mark.sequence.min(number(next)?.saturating_sub(1)),
    })
}

/// Up to `limit` ends after a mark, and up to [`MAX_ENDS`]; from the first one without a mark.
pub(super) fn after(connection: &Connection, mark: Option<&Mark>, limit: usize) -> Change<Portion> {
    let after = match mark {
        Some(mark) => resolve(connection, mark)?,
        None => 0,
    };
    let ends = all(
        connection,
        "SELECT sequence, id, body FROM executions WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        (column(after), limit.min(MAX_ENDS) as i64),
        |row| Ok((row.get::<_, i64>(0)?, (row.get(1)?, row.get(2)?))),
    )?
    .into_iter()
    .map(|(sequence, row)| Ok((number(sequence)?, executions::decode_row(row)?)))
    .collect::<Change<_>>()?;
    Ok(Portion { after, ends })
}

/// What is known of an execution; one that is not known ends as `lost` says.
pub(super) fn settle(
    connection: &Connection,
    lost: &ExecutionRecord,
    next_sequence: impl FnOnce() -> u64,
) -> Change<Settled> {
    if let Some(known) = executions::get(connection, &lost.id)? {
        return Ok(match known.ending {
            Some(_) => Settled::Ended(Box::new(known)),
            None => Settled::Running,
        });
    }
    let forgotten_until = mark(connection, FORGOTTEN_UNTIL)?;
    if forgotten_until.is_some_and(|until| lost.started_at.as_millis() <= until) {
        return Ok(Settled::Forgotten);
    }
    executions::write(connection, lost, Some(next_sequence()))?;
    Ok(Settled::Ended(Box::new(lost.clone())))
}

/// Forgets a portion of the records whose time has come, and names them.
pub(super) fn expire(connection: &Connection, expiry: &Expiry) -> Change<Vec<ExecutionId>> {
    let kept = expiry.kept.map(column);
    let expired = all(
        connection,
        "DELETE FROM executions WHERE id IN (
             SELECT id FROM executions
             WHERE ended_at <= ?1 AND (?2 IS NULL OR sequence <= ?2 OR ended_at <= ?3) LIMIT ?4)
         RETURNING id, sequence, ended_at",
        (
            expiry.ended_before.as_millis(),
            kept,
            expiry.unkept_before.as_millis(),
            EXPIRED_AT_ONCE as i64,
        ),
        |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
            ))
        },
    )?;
    if let Some(kept) = kept {
        raise_mark(connection, KEPT, kept)?;
    }
    let unkept = expired
        .iter()
        .filter(|(_, sequence, _)| *sequence > kept.unwrap_or(0))
        .map(|(_, _, ended_at)| *ended_at);
    if let Some(until) = unkept.max() {
        raise_mark(connection, FORGOTTEN_UNTIL, until)?;
    }
    expired
        .into_iter()
        .map(|(id, _, _)| ExecutionId::new(&id).map_err(corrupt("execution", &id)))
        .collect()
}

fn mark(connection: &Connection, name: &str) -> Change<Option<i64>> {
    Ok(first(
        connection,
        "SELECT value FROM marks WHERE name = ?1",
        [name],
        |row| row.get(0),
    )?)
}

fn raise_mark(connection: &Connection, name: &str, value: i64) -> Change<()> {
    run(
        connection,
        "INSERT INTO marks (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        (name, value),
    )?;
    Ok(())
}

pub(super) fn column(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

fn number(column: i64) -> Change<u64> {
    u64::try_from(column).map_err(corrupt("end", &column.to_string()))
}
