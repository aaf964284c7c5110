//! An agent taken out of traffic, and given back.

use serde_json::json;

use super::scenes::{HOLD, agent_of, cancel, fleet, hold, text};
use crate::harness::{Fleet, eventually};
use crate::runner::tests;

tests![
    a_drained_agent_ends_what_runs_and_gets_nothing_new_also_after_restarts,
    with_every_agent_drained_a_call_is_refused_at_once,
    an_agent_that_was_away_learns_whether_it_drains,
];

#[track_caller]
fn drain(fleet: &Fleet, id: &str, drain: bool) {
    fleet
        .api
        .post_json(&format!("/agents/{id}/drain"), &json!({ "drain": drain }))
        .expect(200);
}

fn a_drained_agent_ends_what_runs_and_gets_nothing_new_also_after_restarts() {
    let mut fleet = fleet(2);
    fleet.deploy_script("hold", "", HOLD);
    fleet.deploy_script("echo", "", "echo hello");
    let held = hold(&fleet, "hold");
    let drained = text(&held, "agent_id").to_owned();
    drain(&fleet, &drained, true);
    drain(&fleet, &drained, true);
    let only_the_other = |fleet: &Fleet| {
        for _ in 0..10 {
            assert_ne!(agent_of(&fleet.execute("echo", &[])), drained);
        }
        assert_eq!(fleet.agent(&drained).expect("listed")["status"], "draining");
    };
    only_the_other(&fleet);
    let id = text(&held, "execution_id");
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    assert_eq!(record["status"], "running");

    fleet.flux.kill9();
    fleet.restart_flux();
    eventually("the other agent is back", || {
        (fleet.execute("echo", &[]).status == 200).then_some(())
    });
    only_the_other(&fleet);
    cancel(&fleet, &held);

    drain(&fleet, &drained, false);
    fleet.await_status(&drained, "online");
    eventually("it gets traffic again", || {
        (agent_of(&fleet.execute("echo", &[])) == drained).then_some(())
    });
}

fn with_every_agent_drained_a_call_is_refused_at_once() {
    let fleet = fleet(1);
    fleet.deploy_script("echo", "max_concurrency_behavior: wait\n", "echo hello");
    drain(&fleet, "agent-1", true);
    fleet.execute("echo", &[]).expect_error(503, "no_agent");
    drain(&fleet, "agent-1", false);
    fleet.await_status("agent-1", "online");
    agent_of(&fleet.execute("echo", &[]));
}

/// The agent itself refuses while it drains, whoever asks: it has to hear of the end of the drain,
/// and of a drain that it slept through.
fn an_agent_that_was_away_learns_whether_it_drains() {
    let mut fleet = fleet(1);
    fleet.deploy_script("echo", "", "echo hello");
    fleet.agents[0].daemon.kill9();
    drain(&fleet, "agent-1", true);
    fleet.agents[0].restart();
    eventually("the agent is told of its drain", || {
        let agent = fleet.agent("agent-1").expect("listed");
        (agent["last_heartbeat"].is_string()).then_some(())
    });
    drain(&fleet, "agent-1", false);
    fleet.await_status("agent-1", "online");
    agent_of(&fleet.execute("echo", &[]));
}
