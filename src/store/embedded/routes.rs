//! Routes from executions to agents.

use rusqlite::{Connection, Row, params};

use crate::base::clock::Timestamp;
use crate::base::sqlite::{all, first, run};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::store::contract::ROUTES_PER_PAGE;
use crate::store::rows::{Change, corrupt};
use crate::store::values::Route;

pub(super) fn put(connection: &Connection, route: &Route) -> Change<()> {
    run(
        connection,
        "INSERT OR REPLACE INTO routes (execution, agent, function, accepted_at)
         VALUES (?1, ?2, ?3, ?4)",
        params![
            route.execution.as_str(),
            route.agent.as_str(),
            route.function.as_str(),
            route.accepted_at.as_millis(),
        ],
    )?;
    Ok(())
}

pub(super) fn get(connection: &Connection, execution: &ExecutionId) -> Change<Option<Route>> {
    first(
        connection,
        "SELECT execution, agent, function, accepted_at FROM routes
         WHERE execution = ?1",
        [execution.as_str()],
        RouteRow::read,
    )?
    .map(RouteRow::decode)
    .transpose()
}

pub(super) fn forget(connection: &Connection, executions: &[ExecutionId]) -> Change<usize> {
    let mut forgotten = 0;
    for execution in executions {
        forgotten += run(
            connection,
            "DELETE FROM routes WHERE execution = ?1",
            [execution.as_str()],
        )?;
    }
    Ok(forgotten)
}

pub(super) fn list(
    connection: &Connection,
    agent: &AgentId,
    after: Option<&ExecutionId>,
) -> Change<Vec<Route>> {
    all(
        connection,
        "SELECT execution, agent, function, accepted_at FROM routes
         WHERE agent = ?1 AND execution > ?2 ORDER BY execution LIMIT ?3",
        // No execution id is empty, so that every one comes after "".
        params![
            agent.as_str(),
            after.map_or("", ExecutionId::as_str),
            ROUTES_PER_PAGE as i64
        ],
        RouteRow::read,
    )?
    .into_iter()
    .map(RouteRow::decode)
    .collect()
}

struct RouteRow {
    execution: String,
    agent: String,
    function: String,
    accepted_at: i64,
}

impl RouteRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<RouteRow> {
        Ok(RouteRow {
            execution: row.get(0)?,
            agent: row.get(1)?,
            function: row.get(2)?,
            accepted_at: row.get(3)?,
        })
    }

    fn decode(self) -> Change<Route> {
        let key = &self.execution;
        Ok(Route {
            execution: ExecutionId::new(key).map_err(corrupt("route", key))?,
            agent: AgentId::new(&self.agent).map_err(corrupt("route", key))?,
            function: FunctionName::new(&self.function).map_err(corrupt("route", key))?,
            accepted_at: Timestamp::from_millis(self.accepted_at),
        })
    }
}
