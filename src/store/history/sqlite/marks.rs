//! How far each agent's ends are kept.

use rusqlite::{Connection, params};

use super::{outputs, records};
use crate::base::sqlite::{first, run};
use crate::model::ends::{Ends, Mark};
use crate::model::ids::AgentId;
use crate::store::rows::{Change, to_column};

pub(super) fn get(connection: &Connection, agent: &AgentId) -> Change<Option<Mark>> {
    Ok(first(
        connection,
        "SELECT boot_id, sequence FROM marks WHERE agent = ?1",
        [agent.as_str()],
        |row| {
            Ok(Mark {
                boot_id: row.get(0)?,
                sequence: row.get::<_, i64>(1)?.unsigned_abs(),
            })
        },
    )?)
}

pub(super) fn keep(connection: &Connection, agent: &AgentId, ends: &Ends) -> Change<()> {
    for (sequence, ended) in &ends.ended {
        records::keep(connection, ended, *sequence)?;
    }
    run(
        connection,
        "INSERT INTO marks (agent, boot_id, sequence) VALUES (?1, ?2, ?3)
         ON CONFLICT (agent) DO UPDATE SET boot_id = excluded.boot_id, sequence = excluded.sequence",
        params![
            agent.as_str(),
            ends.mark.boot_id,
            to_column(ends.mark.sequence)
        ],
    )?;
    Ok(())
}

pub(super) fn released(connection: &Connection, agent: &AgentId) -> Change<Option<Mark>> {
    let Some(mark) = get(connection, agent)? else {
        return Ok(None);
    };
    let first_unfetched: Option<i64> = first(
        connection,
        "SELECT min(sequence) FROM records WHERE agent = ?1 AND output = 2 AND sequence > 0",
        [agent.as_str()],
        |row| row.get(0),
    )?
    .flatten();
    let before = first_unfetched.map_or(u64::MAX, |sequence| sequence.unsigned_abs() - 1);
    Ok(Some(Mark {
        sequence: mark.sequence.min(before),
        ..mark
    }))
}

pub(super) fn forget(connection: &Connection, agent: &AgentId) -> Change<()> {
    run(
        connection,
        "DELETE FROM marks WHERE agent = ?1",
        [agent.as_str()],
    )?;
    outputs::forget_at(connection, agent)
}
