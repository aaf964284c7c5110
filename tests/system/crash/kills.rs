//! One kill, one execution, one consequence.

use super::caller::Caller;
use super::scene::fleet;
use super::witness::Witness;
use crate::harness::{Fleet, eventually};
use crate::runner::tests;

tests![
    killing_the_control_plane_leaves_a_running_execution_alone,
    killing_the_control_plane_leaves_a_synchronous_execution_alone,
    a_killed_agents_execution_is_lost_and_its_tree_is_dead_when_the_agent_serves_again,
    a_synchronous_caller_hears_that_its_execution_was_lost_with_the_agent,
    a_synchronous_caller_hears_that_nobody_knows_while_the_agent_stays_away,
    an_accepted_execution_is_known_after_both_daemons_were_killed,
];

/// Longer than a restart of either daemon.
const LONG_MILLIS: u64 = 2500;
/// Would outlast the test.
const ENDLESS_MILLIS: u64 = 600_000;

fn killing_the_control_plane_leaves_a_running_execution_alone() {
    let (mut fleet, witness) = fleet();
    let id = start(&fleet, &witness, LONG_MILLIS);
    let before = witness.processes();
    fleet.flux.kill9();
    assert!(witness.processes().is_superset(&before), "it was disturbed");
    fleet.restart_flux();
    let record = fleet.await_end(&id);
    assert_eq!(record["status"], "success", "{record}");
    assert_eq!(record["output"], "done\n", "{record}");
    let testimony = witness.testimony();
    assert_eq!(testimony.started[&id], 1);
    assert_eq!(testimony.ended[&id], 1);
}

fn killing_the_control_plane_leaves_a_synchronous_execution_alone() {
    let (mut fleet, witness) = fleet();
    let caller = Caller::new(&fleet.api.url);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| caller.execute(&witness, LONG_MILLIS));
        await_started(&witness, 1);
        fleet.flux.kill9();
        let answer = call.join().expect("the caller");
        assert!(answer.is_none(), "a dead control plane answered {answer:?}");
    });
    fleet.restart_flux();
    eventually("the execution ends by itself", || {
        (witness.testimony().ended.len() == 1).then_some(())
    });
    assert_eq!(witness.testimony().started.len(), 1);
}

fn a_killed_agents_execution_is_lost_and_its_tree_is_dead_when_the_agent_serves_again() {
    let (mut fleet, witness) = fleet();
    let id = start(&fleet, &witness, ENDLESS_MILLIS);
    fleet.agents[0].daemon.kill9();
    assert!(
        !witness.processes().is_empty(),
        "the kill took the execution along"
    );
    let during = fleet.api.get(&format!("/executions/{id}"));
    assert_ne!(
        during.status,
        404,
        "an outage is not an absence: {}",
        during.text()
    );
    fleet.agents[0].restart();
    assert!(witness.processes().is_empty(), "it outlived its agent");
    let record = fleet.await_end(&id);
    assert_eq!(record["status"], "failed", "{record}");
    assert_eq!(record["reason"], "lost", "{record}");
    assert_eq!(fleet.await_end(&id), record, "a final record changed");
}

fn a_synchronous_caller_hears_that_its_execution_was_lost_with_the_agent() {
    let (mut fleet, witness) = fleet();
    let caller = Caller::new(&fleet.api.url);
    let answer = std::thread::scope(|scope| {
        let call = scope.spawn(|| caller.execute(&witness, ENDLESS_MILLIS));
        await_started(&witness, 1);
        fleet.agents[0].daemon.kill9();
        fleet.agents[0].restart();
        call.join().expect("the caller").expect("an answer")
    });
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(answer.body["reason"], "lost", "{answer:?}");
    assert_eq!(witness.testimony().started.len(), 1, "it ran again");
    assert!(witness.processes().is_empty(), "it outlived its agent");
}

fn a_synchronous_caller_hears_that_nobody_knows_while_the_agent_stays_away() {
    let (mut fleet, witness) = fleet();
    let caller = Caller::new(&fleet.api.url);
    let answer = std::thread::scope(|scope| {
        let call = scope.spawn(|| caller.execute(&witness, ENDLESS_MILLIS));
        await_started(&witness, 1);
        fleet.agents[0].daemon.kill9();
        call.join().expect("the caller").expect("an answer")
    });
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(
        answer.body["error"]["code"], "outcome_unknown",
        "{answer:?}"
    );
    let hint = answer.body["error"]["hint"].as_str().expect("a hint");
    let testimony = witness.testimony();
    let (id, count) = testimony.started.iter().next().expect("it started");
    assert!(hint.contains(id), "{hint:?} does not name {id}");
    assert_eq!(*count, 1, "it ran again");
    // Also for the sake of the machine: nothing else ends the orphan.
    fleet.agents[0].restart();
    assert!(witness.processes().is_empty(), "it outlived its agent");
}

fn an_accepted_execution_is_known_after_both_daemons_were_killed() {
    let (mut fleet, witness) = fleet();
    let id = start(&fleet, &witness, ENDLESS_MILLIS);
    fleet.flux.kill9();
    fleet.agents[0].daemon.kill9();
    fleet.restart_flux();
    let during = fleet.api.get(&format!("/executions/{id}"));
    assert_ne!(during.status, 404, "{}", during.text());
    fleet.agents[0].restart();
    let record = fleet.await_end(&id);
    assert_eq!(record["reason"], "lost", "{record}");
    assert_eq!(witness.testimony().started[&id], 1);
}

/// Accepted, and seen to run.
#[track_caller]
fn start(fleet: &Fleet, witness: &Witness, millis: u64) -> String {
    let caller = Caller::new(&fleet.api.url);
    let answer = caller.execute_async(witness, millis).expect("an answer");
    assert_eq!(answer.status, 202, "{answer:?}");
    await_started(witness, 1);
    answer.id()
}

#[track_caller]
pub fn await_started(witness: &Witness, count: usize) {
    eventually(&format!("{count} executions have started"), || {
        (witness.testimony().started.len() == count).then_some(())
    });
}
