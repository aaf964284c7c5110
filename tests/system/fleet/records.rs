//! What the two sides keep of executions, looked at from outside.

use std::time::Duration;

use flux::base::clock::{Clock, Timestamp};
use serde_json::Value;

use crate::harness::{Fleet, eventually};

/// Until the ends of those executions and their whole output are in the history.
#[track_caller]
pub fn await_home(fleet: &Fleet, ids: &[&str]) {
    let history = history(fleet);
    for id in ids {
        eventually("it is home", || {
            let output: Option<i64> = history
                .query_row("SELECT output FROM records WHERE id = ?1", [id], |row| {
                    row.get(0)
                })
                .ok();
            (output == Some(0)).then_some(())
        });
    }
}

/// Until the agent has been told what is kept.
#[track_caller]
pub fn await_released(fleet: &Fleet) {
    let journal = journal(fleet);
    eventually("it is told what is kept", || {
        let query = "SELECT value FROM marks WHERE name = 'kept'";
        let kept: Option<i64> = journal.query_row(query, (), |row| row.get(0)).ok();
        kept.filter(|&kept| kept > 0)
    });
}

/// Until an execution has ended so long ago, by the agent's own account.
#[track_caller]
pub fn await_age(fleet: &Fleet, id: &str, age: Duration) {
    let journal = journal(fleet);
    eventually("it has ended long ago", || {
        let query = "SELECT ended_at FROM executions WHERE id = ?1 AND ended_at IS NOT NULL";
        let ended_at: i64 = journal.query_row(query, [id], |row| row.get(0)).ok()?;
        (Timestamp::from_millis(ended_at).after(age) < Clock::system().now()).then_some(())
    });
}

pub fn journal(fleet: &Fleet) -> rusqlite::Connection {
    let file = fleet.agents[0].state_dir().join("journal/journal.db");
    rusqlite::Connection::open(file).expect("journal")
}

pub fn history(fleet: &Fleet) -> rusqlite::Connection {
    let file = fleet.directory().join("state/history.db");
    rusqlite::Connection::open(file).expect("history")
}

pub fn all_events(fleet: &Fleet, id: &str) -> Vec<Value> {
    let reply = fleet.api.get(&format!("/executions/{id}/events"));
    let lines = reply.text();
    let data = lines.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("JSON"))
        .collect()
}
