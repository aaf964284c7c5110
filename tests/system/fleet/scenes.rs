//! Fleets for these tests, and what most of them do with one.

use std::thread::{Scope, ScopedJoinHandle};

use serde_json::{Value, json};

use crate::harness::{AgentOptions, Fleet, FleetOptions, Reply};

/// Runs until it is ended, and says that it has begun.
pub const HOLD: &str = "echo started; exec sleep 600";

/// Agents that are seen to come and go quickly.
#[track_caller]
pub fn fleet(agents: usize) -> Fleet {
    with_limits(agents, "heartbeat_interval: 200ms")
}

/// `limits`: one line for the control plane's section of that name.
#[track_caller]
pub fn with_limits(agents: usize, limits: &str) -> Fleet {
    Fleet::with(&FleetOptions {
        flux_yaml: format!("log: info,flux::control::fleet=debug\nlimits:\n  {limits}\n"),
        agents: vec![AgentOptions::default(); agents],
    })
}

/// Takes a slot with an execution of `name`, which is one of [`HOLD`], and returns its record.
#[track_caller]
pub fn hold(fleet: &Fleet, name: &str) -> Value {
    let id = fleet.execute_async(name, &[]);
    fleet.await_output(&id, "started");
    fleet.api.get(&format!("/executions/{id}")).expect(200)
}

#[track_caller]
pub fn cancel(fleet: &Fleet, record: &Value) {
    fleet
        .api
        .delete(&format!("/executions/{}", text(record, "execution_id")))
        .expect(200);
}

/// A synchronous call on a thread of its own.
pub fn call_aside<'scope>(
    scope: &'scope Scope<'scope, '_>,
    fleet: &Fleet,
    path: &str,
    args: &[&str],
) -> ScopedJoinHandle<'scope, Reply> {
    let (api, path, body) = (fleet.api.clone(), path.to_owned(), json!({ "args": args }));
    scope.spawn(move || api.post_json(&path, &body))
}

#[track_caller]
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no text {field} in {value}"))
}

/// Which agent answered a call that succeeded.
#[track_caller]
pub fn agent_of(reply: &Reply) -> String {
    text(&reply.expect(200), "agent_id").to_owned()
}

/// The index of an agent among `fleet.agents`.
#[track_caller]
pub fn index_of(fleet: &Fleet, id: &str) -> usize {
    fleet
        .agents
        .iter()
        .position(|agent| agent.id == id)
        .expect("one of ours")
}
