//! What somebody was told of an execution stays so, whatever becomes of the agent that ran it.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::records::{all_events, await_age, await_home, journal};
use super::scenes::{HOLD, fleet, text};
use crate::harness::{Fleet, eventually, process};
use crate::runner::tests;

tests![
    an_end_that_was_asked_for_stays_when_its_agent_loses_its_disk,
    an_end_that_was_listed_stays_when_its_agent_loses_its_disk,
    an_end_that_was_followed_stays_when_its_agent_loses_its_disk,
    a_confirmed_cancel_stays_when_its_agent_loses_its_disk,
    an_agent_that_was_not_reached_yet_is_asked_before_it_is_removed,
];

fn an_end_that_was_asked_for_stays_when_its_agent_loses_its_disk() {
    let mut fleet = fleet_that_reads_no_ends();
    let id = fleet.execute_async("quick", &[]);
    assert_eq!(fleet.await_end(&id)["status"], "success");
    assert_eq!(
        after_the_disk_was_lost(&mut fleet, &id)["status"],
        "success"
    );
}

fn an_end_that_was_listed_stays_when_its_agent_loses_its_disk() {
    let mut fleet = fleet_that_reads_no_ends();
    let id = fleet.execute_async("quick", &[]);
    eventually("it is listed as ended", || {
        let page = fleet.api.get("/executions?function=quick").expect(200);
        let listed = page["executions"].as_array().expect("a list").clone();
        let record = listed
            .into_iter()
            .find(|record| record["execution_id"] == *id)?;
        (record["status"] == "success").then_some(())
    });
    assert_eq!(
        after_the_disk_was_lost(&mut fleet, &id)["status"],
        "success"
    );
}

fn an_end_that_was_followed_stays_when_its_agent_loses_its_disk() {
    let mut fleet = fleet_that_reads_no_ends();
    let id = fleet.execute_async("quick", &[]);
    let events = all_events(&fleet, &id);
    assert_eq!(events.last().expect("an end")["status"], "success");
    assert_eq!(
        after_the_disk_was_lost(&mut fleet, &id)["status"],
        "success"
    );
}

fn a_confirmed_cancel_stays_when_its_agent_loses_its_disk() {
    let mut fleet = fleet_that_reads_no_ends();
    fleet.deploy_script("hold", "", HOLD);
    let id = fleet.execute_async("hold", &[]);
    fleet.await_output(&id, "started");
    fleet.api.delete(&format!("/executions/{id}")).expect(200);
    let record = after_the_disk_was_lost(&mut fleet, &id);
    assert_eq!(record["status"], "cancelled");
}

fn an_agent_that_was_not_reached_yet_is_asked_before_it_is_removed() {
    let mut fleet = fleet(1);
    fleet.deploy_script("slow", "", "sleep 0.5; echo done");
    let id = fleet.execute_async("slow", &[]);
    fleet.kill_flux();
    await_age(&fleet, &id, Duration::ZERO);
    fleet.agents[0].daemon.signal(Signal::SIGSTOP);
    fleet.restart_flux();
    assert_eq!(fleet.agent("agent-1").expect("listed")["status"], "offline");
    thread::scope(|scope| {
        let removal = scope.spawn(|| fleet.api.delete("/agents/agent-1"));
        // Time for it to be answered, were the agent not waited for.
        process::pause(Duration::from_millis(500));
        fleet.agents[0].daemon.signal(Signal::SIGCONT);
        removal.join().expect("an answer").expect(200);
    });
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    assert_eq!(
        (&record["status"], &record["output"]),
        (&json!("success"), &json!("done\n"))
    );
}

/// One whose control plane cannot bring ends home: among those of its agent is one that the agent cannot
/// read. There is a function "quick".
#[track_caller]
fn fleet_that_reads_no_ends() -> Fleet {
    let mut fleet = fleet(1);
    fleet.deploy_script("quick", "", "echo done");
    fleet.deploy_script("slow", "", "sleep 0.5");
    let before = fleet.execute_async("quick", &[]);
    await_home(&fleet, &[&before]);
    let broken = fleet.execute_async("slow", &[]);
    fleet.kill_flux();
    await_age(&fleet, &broken, Duration::ZERO);
    let changed = journal(&fleet).execute(
        "UPDATE executions SET body = 'broken' WHERE id = ?1",
        [&broken],
    );
    assert_eq!(changed, Ok(1));
    fleet.restart_flux();
    fleet.await_status("agent-1", "online");
    eventually("ends cannot be read", || {
        fleet
            .flux
            .log()
            .contains("its ends stay there")
            .then_some(())
    });
    fleet
}

/// What is said of an execution after its agent has come back without anything that it had.
#[track_caller]
fn after_the_disk_was_lost(fleet: &mut Fleet, id: &str) -> Value {
    fleet.agents[0].daemon.kill9();
    std::fs::remove_dir_all(fleet.agents[0].state_dir()).expect("remove");
    fleet.agents[0].restart();
    let after = eventually("it serves again", || {
        let reply = fleet.execute("quick", &[]);
        (reply.status == 200).then(|| reply.json())
    });
    // What it did not know was settled before this one's end came home.
    await_home(fleet, &[text(&after, "execution_id")]);
    fleet.api.get(&format!("/executions/{id}")).expect(200)
}
