//! Agents that die and come back.

use std::fs;
use std::thread;

use super::scenes::{HOLD, agent_of, call_aside, fleet, index_of, text};
use crate::harness::eventually;
use crate::runner::tests;

tests![
    calls_go_on_while_one_agent_is_killed_and_none_is_started_twice,
    an_agent_that_restarts_ends_what_ran_and_keeps_its_functions,
    a_stopping_agent_finishes_what_runs_while_others_take_the_calls,
    a_call_whose_agent_dies_and_returns_is_lost,
];

/// Whether a process with this argument is alive.
fn is_alive(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc");
    processes.flatten().any(|entry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        command
            .split(|byte| *byte == 0)
            .any(|word| word == argument.as_bytes())
    })
}

/// Seconds for sleep(1) that nobody else on this machine sleeps for.
fn unique_seconds(test: u32) -> String {
    format!("{test}{:07}", std::process::id())
}

fn calls_go_on_while_one_agent_is_killed_and_none_is_started_twice() {
    let mut fleet = fleet(2);
    fleet.deploy_script("hold", "", HOLD);
    fleet.deploy_script("echo", "", "echo hello");
    thread::scope(|scope| {
        let cut_off = call_aside(scope, &fleet, "/execute/hold", &[]);
        let running = eventually("the call runs", || {
            let listed = fleet.api.get("/executions?status=running").expect(200);
            listed["executions"].as_array()?.first().cloned()
        });
        let victim = text(&running, "agent_id").to_owned();
        let index = index_of(&fleet, &victim);
        fleet.agents[index].daemon.kill9();
        for _ in 0..20 {
            assert_ne!(agent_of(&fleet.execute("echo", &[])), victim);
        }
        // Nobody can tell yet how it ended.
        let reply = cut_off.join().expect("no panic");
        let message = reply.expect_error(503, "outcome_unknown");
        assert!(
            message.contains(text(&running, "execution_id")),
            "{message}"
        );
        fleet.await_status(&victim, "offline");
        let listed = fleet
            .api
            .get("/executions?function=echo&limit=100")
            .expect(200);
        assert_eq!(
            listed["executions"].as_array().map(Vec::len),
            Some(20),
            "none was started twice"
        );
        assert_eq!(listed["unreachable_agents"], serde_json::json!([victim]));
    });
}

fn an_agent_that_restarts_ends_what_ran_and_keeps_its_functions() {
    let mut fleet = fleet(1);
    fleet.deploy_script(
        "f",
        "max_concurrency: 1\n",
        "[ $# -eq 0 ] || { echo started; exec sleep \"$1\"; }; echo hello",
    );
    let seconds = unique_seconds(1);
    let id = fleet.execute_async("f", &[&seconds]);
    fleet.await_output(&id, "started");
    eventually("the process is there", || is_alive(&seconds).then_some(()));
    fleet.agents[0].daemon.kill9();
    fleet.agents[0].restart();
    assert!(!is_alive(&seconds), "it outlived its agent's restart");
    let record = fleet.await_end(&id);
    assert_eq!(record["status"], "failed");
    assert_eq!(record["reason"], "lost");
    // Its slot is free, and the code is there without having been sent again.
    eventually("the agent gets traffic again", || {
        let reply = fleet.execute("f", &[]);
        (reply.status == 200).then_some(())
    });
    let installed = fleet.agents[0].daemon.log().matches("is in force").count();
    assert_eq!(installed, 1, "{}", fleet.agents[0].daemon.log());
}

fn a_stopping_agent_finishes_what_runs_while_others_take_the_calls() {
    let mut fleet = fleet(2);
    fleet.deploy_script("slow", "", "echo started; sleep 2; echo ended");
    fleet.deploy_script("echo", "", "echo hello");
    let id = fleet.execute_async("slow", &[]);
    fleet.await_output(&id, "started");
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    let stopping = text(&record, "agent_id").to_owned();
    let index = index_of(&fleet, &stopping);
    fleet.agents[index]
        .daemon
        .signal(nix::sys::signal::Signal::SIGTERM);
    fleet.agents[index]
        .daemon
        .await_log("finishing what runs", 0);
    for _ in 0..10 {
        assert_ne!(agent_of(&fleet.execute("echo", &[])), stopping);
    }
    assert!(fleet.agents[index].daemon.wait().success());
    fleet.agents[index].restart();
    let record = fleet.await_end(&id);
    assert_eq!(record["status"], "success", "{record}");
}

fn a_call_whose_agent_dies_and_returns_is_lost() {
    let mut fleet = fleet(1);
    fleet.deploy_script("hold", "", HOLD);
    thread::scope(|scope| {
        let cut_off = call_aside(scope, &fleet, "/execute/hold", &[]);
        eventually("the call runs", || {
            let listed = fleet.api.get("/executions?status=running").expect(200);
            listed["executions"].as_array()?.first().map(drop)
        });
        fleet.agents[0].daemon.kill9();
        fleet.agents[0].restart();
        let record = cut_off.join().expect("no panic").expect(500);
        assert_eq!(record["status"], "failed");
        assert_eq!(record["reason"], "lost");
    });
}
