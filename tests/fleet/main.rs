//! Several agents and their control plane, as real processes: who gets a call, who waits for
//! room, and what happens while agents and versions come and go.

mod broken_links;
mod daemons;
mod deploys;
mod drain;
#[path = "../harness/mod.rs"]
mod harness;
mod homecoming;
mod identity;
mod losses;
mod no_access_lists;
mod offline;
mod outage;
mod placement;
mod queue;
mod removal;
mod restarts;
mod unconfirmed;

use std::thread::{Scope, ScopedJoinHandle};

use serde_json::{Value, json};

use harness::{AgentOptions, Fleet, FleetOptions, Reply};

/// Runs until it is ended, and says that it has begun.
const HOLD: &str = "echo started; exec sleep 600";

/// Agents that are seen to come and go quickly.
#[track_caller]
fn fleet(agents: usize) -> Fleet {
    with_limits(agents, "heartbeat_interval: 200ms")
}

/// `limits`: one line for the control plane's section of that name.
#[track_caller]
fn with_limits(agents: usize, limits: &str) -> Fleet {
    Fleet::with(&FleetOptions {
        flux_yaml: format!("log: info,flux::control::fleet=debug\nlimits:\n  {limits}\n"),
        agents: vec![AgentOptions::default(); agents],
    })
}

/// Takes a slot with an execution of `name`, which is one of [`HOLD`], and returns its record.
#[track_caller]
fn hold(fleet: &Fleet, name: &str) -> Value {
    let id = fleet.execute_async(name, &[]);
    fleet.await_output(&id, "started");
    fleet.api.get(&format!("/executions/{id}")).expect(200)
}

#[track_caller]
fn cancel(fleet: &Fleet, record: &Value) {
    fleet
        .api
        .delete(&format!("/executions/{}", text(record, "execution_id")))
        .expect(200);
}

/// A synchronous call on a thread of its own.
fn call_aside<'scope>(
    scope: &'scope Scope<'scope, '_>,
    fleet: &Fleet,
    path: &str,
    args: &[&str],
) -> ScopedJoinHandle<'scope, Reply> {
    let (api, path, body) = (fleet.api.clone(), path.to_owned(), json!({ "args": args }));
    scope.spawn(move || api.post_json(&path, &body))
}

#[track_caller]
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no text {field} in {value}"))
}

/// Which agent answered a call that succeeded.
#[track_caller]
fn agent_of(reply: &Reply) -> String {
    text(&reply.expect(200), "agent_id").to_owned()
}

/// The index of an agent among `fleet.agents`.
#[track_caller]
fn index_of(fleet: &Fleet, id: &str) -> usize {
    fleet
        .agents
        .iter()
        .position(|agent| agent.id == id)
        .expect("one of ours")
}
