//! New versions while calls come and executions run.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::scenes::{agent_of, fleet, text};
use crate::harness::{Fleet, archive_of, function_yaml, script_archive};
use crate::runner::tests;

tests![
    deploys_fail_no_call_disturb_nothing_that_runs_and_never_go_back,
    an_agent_that_was_away_runs_only_what_was_deployed_meanwhile,
    a_function_that_an_agent_cannot_take_keeps_no_other_from_it,
];

const LAST_VERSION: u32 = 6;

/// Waits, and says of which version it is: as it was started, and as its files are at its end.
fn version(number: u32) -> Vec<u8> {
    let script = "#!/bin/sh\n\
                  read -r started <\"$(dirname \"$0\")/version\"\n\
                  echo started\n\
                  [ $# -gt 0 ] && sleep \"$1\"\n\
                  read -r ended <\"$(dirname \"$0\")/version\"\n\
                  echo \"$started $ended\"\n";
    archive_of(&[
        ("run", script.as_bytes(), true),
        ("version", format!("{number}\n").as_bytes(), false),
    ])
}

/// Deploys to both agents.
#[track_caller]
fn deploy(fleet: &Fleet, archive: &[u8]) -> Value {
    fleet.api.put("/deploy/f", archive).expect(200)
}

#[track_caller]
fn version_of(record: &Value) -> u32 {
    let output = text(record, "output").trim().to_owned();
    let last = output.lines().last().expect("a line").to_owned();
    let (started, ended) = last.split_once(' ').expect("two versions");
    assert_eq!(started, ended, "its files changed under it");
    started.parse().expect("a number")
}

fn deploys_fail_no_call_disturb_nothing_that_runs_and_never_go_back() {
    let fleet = fleet(2);
    fleet
        .api
        .put(
            "/functions",
            function_yaml("f", "max_concurrency: 20\n").as_bytes(),
        )
        .expect(201);
    deploy(&fleet, &version(1));
    let long = fleet.execute_async("f", &["3"]);
    fleet.await_output(&long, "started");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (api, done) = (fleet.api.clone(), &done);
                scope.spawn(move || {
                    let mut newest = HashMap::<String, u32>::new();
                    let mut calls = 0;
                    loop {
                        // Asked before the call: the last one begins after the last deploy.
                        let is_last = done.load(Ordering::SeqCst);
                        let record = api.post_json("/execute/f", &json!({})).expect(200);
                        let version = version_of(&record);
                        let before = newest
                            .insert(text(&record, "agent_id").to_owned(), version)
                            .unwrap_or(0);
                        assert!(version >= before, "{version} after {before}");
                        calls += 1;
                        if is_last {
                            assert_eq!(version, LAST_VERSION);
                            return calls;
                        }
                    }
                })
            })
            .collect();
        for number in 2..=LAST_VERSION {
            let answer = deploy(&fleet, &version(number));
            assert_eq!(answer["deployed_count"], 2, "{answer}");
        }
        done.store(true, Ordering::SeqCst);
        for caller in callers {
            assert!(caller.join().expect("no call failed") > 1);
        }
    });
    // It outlived every release but its own.
    assert_eq!(version_of(&fleet.await_end(&long)), 1);
}

fn an_agent_that_was_away_runs_only_what_was_deployed_meanwhile() {
    let mut fleet = fleet(2);
    fleet.deploy_script("f", "", "echo old");
    fleet.agents[1].daemon.kill9();
    fleet.await_status("agent-2", "offline");
    let answer = deploy(&fleet, &script_archive("echo new"));
    let outcomes = answer["agents"].as_array().expect("outcomes");
    assert_eq!(outcomes[0]["status"], "success", "{answer}");
    assert_eq!(outcomes[1]["status"], "pending", "{answer}");
    fleet.agents[1].restart();
    loop {
        let record = fleet.execute("f", &[]).expect(200);
        assert_eq!(record["output"], "new\n", "{record}");
        if record["agent_id"] == "agent-2" {
            break;
        }
    }
}

fn a_function_that_an_agent_cannot_take_keeps_no_other_from_it() {
    let mut fleet = fleet(2);
    // Nothing can be installed below a file.
    let apps = fleet.agents[0].state_dir().join("apps");
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    fs::write(apps.join("bad"), "in the way").expect("file");
    fleet
        .api
        .put("/functions", function_yaml("bad", "").as_bytes())
        .expect(201);
    let answer = fleet
        .api
        .put("/deploy/bad", &script_archive("echo bad"))
        .expect(200);
    let outcomes = answer["agents"].as_array().expect("outcomes");
    assert_eq!(outcomes[0]["status"], "failed", "{answer}");
    assert!(!text(&outcomes[0], "message").is_empty());
    assert_eq!(outcomes[1]["status"], "success", "{answer}");
    fleet.deploy_script("good", "", "echo good");

    fleet.agents[0].daemon.kill9();
    fleet.await_status("agent-1", "offline");
    fleet.agents[0].restart();
    fleet.await_status("agent-1", "online");
    for _ in 0..10 {
        assert_eq!(agent_of(&fleet.execute("bad", &[])), "agent-2");
    }
    while agent_of(&fleet.execute("good", &[])) != "agent-1" {}
}
