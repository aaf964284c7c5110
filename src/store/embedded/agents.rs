//! Agents, written only by whoever has seen their present state.

use rusqlite::{Connection, Row, params};

use super::changes;
use crate::base::sqlite::{all, first, run};
use crate::model::agent::Agent;
use crate::model::ids::AgentId;
use crate::store::contract::Changed;
use crate::store::error::StoreError;
use crate::store::rows::{Change, corrupt, refuse};
use crate::store::values::{Revision, Stored};
use crate::stored::agent::{decode, encode};

pub(super) fn put(
    connection: &Connection,
    agent: &Agent,
    expected: Option<Revision>,
) -> Change<Revision> {
    compare(connection, &agent.id, expected)?;
    let revision = changes::written(connection, &Changed::Agent(agent.id.clone()))?;
    run(
        connection,
        "INSERT INTO agents (id, revision, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, body = excluded.body",
        params![
            agent.id.as_str(),
            changes::to_column(revision),
            encode(agent)
        ],
    )?;
    Ok(revision)
}

pub(super) fn get(connection: &Connection, id: &AgentId) -> Change<Option<Stored<Agent>>> {
    first(
        connection,
        "SELECT id, revision, body FROM agents WHERE id = ?1",
        [id.as_str()],
        AgentRow::read,
    )?
    .map(AgentRow::decode)
    .transpose()
}

pub(super) fn list(connection: &Connection) -> Change<Vec<Stored<Agent>>> {
    all(
        connection,
        "SELECT id, revision, body FROM agents ORDER BY id",
        (),
        AgentRow::read,
    )?
    .into_iter()
    .map(AgentRow::decode)
    .collect()
}

pub(super) fn delete(
    connection: &Connection,
    id: &AgentId,
    expected: Revision,
) -> Change<Revision> {
    compare(connection, id, Some(expected))?;
    run(
        connection,
        "DELETE FROM agents WHERE id = ?1",
        [id.as_str()],
    )?;
    changes::gone(connection, &Changed::Agent(id.clone()))
}

fn compare(connection: &Connection, id: &AgentId, expected: Option<Revision>) -> Change<()> {
    let found = first(
        connection,
        "SELECT revision FROM agents WHERE id = ?1",
        [id.as_str()],
        |row| row.get(0),
    )?
    .map(|number| changes::from_column("agent", id.as_str(), number))
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

struct AgentRow {
    id: String,
    revision: i64,
    body: String,
}

impl AgentRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<AgentRow> {
        Ok(AgentRow {
            id: row.get(0)?,
            revision: row.get(1)?,
            body: row.get(2)?,
        })
    }

    fn decode(self) -> Change<Stored<Agent>> {
        Ok(Stored {
            value: decode(&self.body).map_err(corrupt("agent", &self.id))?,
            revision: changes::from_column("agent", &self.id, self.revision)?,
        })
    }
}
