//! What has changed: the last change of each agent and each function, so that the list cannot grow
//! beyond them, and of some that are gone.

use rusqlite::{Connection, Row, params};

use crate::base::sqlite::{all, run};
use crate::model::ids::{AgentId, FunctionName};
use crate::store::contract::{Change, Changed, Changes};
use crate::store::rows::{Change as Outcome, corrupt};
use crate::store::values::Revision;

/// Deletions that are remembered. Who has missed more reads everything anew.
const GONE_REMEMBERED: i64 = 1000;

const AGENT: &str = "agent";
const FUNCTION: &str = "function";

/// The revision of the last change.
pub(super) fn revision(connection: &Connection) -> Outcome<Revision> {
    counter(connection, "revision")
}

/// Notes that something was written; the revision that it now has.
pub(super) fn written(connection: &Connection, what: &Changed) -> Outcome<Revision> {
    note(connection, what, false)
}

/// Notes that something was deleted; the revision of that.
pub(super) fn gone(connection: &Connection, what: &Changed) -> Outcome<Revision> {
    let revision = note(connection, what, true)?;
    run(
        connection,
        "UPDATE counters SET value = ifnull((
             SELECT max(revision) FROM (
                 SELECT revision FROM changes WHERE is_gone
                 ORDER BY revision DESC LIMIT -1 OFFSET ?1)), value)
         WHERE name = 'changes_forgotten'",
        [GONE_REMEMBERED],
    )?;
    run(
        connection,
        "DELETE FROM changes WHERE is_gone AND revision <= (
             SELECT value FROM counters WHERE name = 'changes_forgotten')",
        (),
    )?;
    Ok(revision)
}

/// What was written after `since`.
pub(super) fn since(connection: &Connection, since: Revision) -> Outcome<Changes> {
    // A revision that is still to come is of another store, or of this one before it was restored.
    if since < counter(connection, "changes_forgotten")? || since > revision(connection)? {
        return Ok(Changes::Everything);
    }
    let rows = all(
        connection,
        "SELECT revision, kind, key FROM changes WHERE revision > ?1 ORDER BY revision",
        [to_column(since)],
        ChangeRow::read,
    )?;
    let changes = rows.into_iter().map(ChangeRow::decode);
    Ok(Changes::These(changes.collect::<Outcome<_>>()?))
}

/// A revision as columns hold it.
pub(super) fn to_column(revision: Revision) -> i64 {
    crate::store::rows::to_column(revision.0)
}

/// From a column that holds a revision; `what` and `key` name the entry.
pub(super) fn from_column(what: &'static str, key: &str, number: i64) -> Outcome<Revision> {
    u64::try_from(number)
        .map(Revision)
        .map_err(corrupt(what, key))
}

fn note(connection: &Connection, what: &Changed, is_gone: bool) -> Outcome<Revision> {
    let number: i64 = connection
        .prepare_cached(
            "UPDATE counters SET value = value + 1 WHERE name = 'revision' RETURNING value",
        )?
        .query_row((), |row| row.get(0))?;
    let (kind, key) = match what {
        Changed::Agent(id) => (AGENT, id.as_str()),
        Changed::Function(name) => (FUNCTION, name.as_str()),
    };
    run(
        connection,
        "INSERT OR REPLACE INTO changes (revision, kind, key, is_gone) VALUES (?1, ?2, ?3, ?4)",
        params![number, kind, key, is_gone],
    )?;
    from_column("change of", key, number)
}

fn counter(connection: &Connection, name: &str) -> Outcome<Revision> {
    let number = connection
        .prepare_cached("SELECT value FROM counters WHERE name = ?1")?
        .query_row([name], |row| row.get(0))?;
    from_column("counter", name, number)
}

struct ChangeRow {
    revision: i64,
    kind: String,
    key: String,
}

impl ChangeRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<ChangeRow> {
        Ok(ChangeRow {
            revision: row.get(0)?,
            kind: row.get(1)?,
            key: row.get(2)?,
        })
    }

    fn decode(self) -> Outcome<Change> {
        const WHAT: &str = "change of";
        let key = &self.key;
        let what = match self.kind.as_str() {
            AGENT => Changed::Agent(AgentId::new(key).map_err(corrupt(WHAT, key))?),
            FUNCTION => Changed::Function(FunctionName::new(key).map_err(corrupt(WHAT, key))?),
            kind => {
                return Err(corrupt(WHAT, key)(format!("nothing is a {kind:?}")));
            }
        };
        Ok(Change {
            revision: from_column(WHAT, key, self.revision)?,
            what,
        })
    }
}
