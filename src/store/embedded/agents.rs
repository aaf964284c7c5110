//! Agents, written only by whoever has seen their present state.

use rusqlite::{Connection, params};

use super::rows::{Change, corrupt, refuse, to_column};
use crate::base::sqlite::{all, first, run};
use crate::model::agent::Agent;
use crate::model::ids::AgentId;
use crate::store::error::StoreError;
use crate::store::values::Revision;
use crate::stored::agent::{decode, encode};

pub(super) fn put(
    connection: &Connection,
    agent: &Agent,
    expected: Option<Revision>,
) -> Change<Revision> {
    compare(connection, &agent.id, expected)?;
    // One sequence for all agents: a revision of a deleted agent must not fit its successor.
    let next: i64 = connection
        .prepare_cached(
            "UPDATE counters SET value = value + 1 WHERE name = 'agent_revision' RETURNING value",
        )?
        .query_row((), |row| row.get(0))?;
    run(
        connection,
        "INSERT INTO agents (id, revision, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, body = excluded.body",
        params![agent.id.as_str(), next, encode(agent)],
    )?;
    revision(&agent.id, next)
}

pub(super) fn list(connection: &Connection) -> Change<Vec<(Agent, Revision)>> {
    let rows = all(
        connection,
        "SELECT id, revision, body FROM agents ORDER BY id",
        (),
        |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get::<_, String>(2)?,
            ))
        },
    )?;
    rows.into_iter()
        .map(|(id, number, body)| {
            let agent = decode(&body).map_err(corrupt("agent", &id))?;
            let revision = revision(&agent.id, number)?;
            Ok((agent, revision))
        })
        .collect()
}

pub(super) fn delete(connection: &Connection, id: &AgentId, expected: Revision) -> Change<()> {
    compare(connection, id, Some(expected))?;
    run(
        connection,
        "DELETE FROM agents WHERE id = ?1 AND revision = ?2",
        params![id.as_str(), to_column(expected.0)],
    )?;
    Ok(())
}

fn compare(connection: &Connection, id: &AgentId, expected: Option<Revision>) -> Change<()> {
    let found = first(
        connection,
        "SELECT revision FROM agents WHERE id = ?1",
        [id.as_str()],
        |row| row.get(0),
    )?
    .map(|number| revision(id, number))
    .transpose()?;
    if found == expected {
        return Ok(());
    }
    refuse(StoreError::Conflict {
        agent: id.clone(),
        expected,
        found,
    })
}

fn revision(id: &AgentId, number: i64) -> Change<Revision> {
    u64::try_from(number)
        .map(Revision)
        .map_err(corrupt("agent", id.as_str()))
}
