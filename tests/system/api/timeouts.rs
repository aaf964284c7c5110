//! Timeouts: the function's own, and the call's, which can only tighten it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::plain::plain;
use crate::harness::{Fleet, Reply};
use crate::runner::tests;

tests![
    a_function_that_runs_into_its_timeout_fails_with_what_it_wrote_until_then,
    a_call_tightens_the_timeout_for_itself_alone,
    a_call_cannot_loosen_the_timeout,
    a_function_without_a_timeout_takes_the_calls,
    every_form_of_a_duration_is_taken,
    an_asynchronous_call_has_its_timeout_too,
    nothing_of_the_tree_is_alive_when_a_timeout_has_answered,
];

fn execute_within(fleet: &Fleet, name: &str, timeout: &str) -> Reply {
    let path = format!("/execute/{name}");
    fleet
        .api
        .call("POST", &path, &[("x-flux-timeout", timeout)], b"{}")
}

#[track_caller]
fn timed_out(reply: &Reply) -> Value {
    let record = reply.expect(500);
    assert_eq!(record["status"], "failed", "{record}");
    assert_eq!(record["reason"], "timed_out", "{record}");
    assert_eq!(
        (&record["exit_code"], &record["signal"]),
        (&Value::Null, &Value::Null)
    );
    assert_ne!(record["error"], "");
    assert_eq!(reply.header("x-flux-reason"), Some("timed_out"));
    record
}

fn a_function_that_runs_into_its_timeout_fails_with_what_it_wrote_until_then() {
    let fleet = plain();
    fleet.deploy_script(
        "tim-own",
        "timeout: 1\n",
        "echo begun; sleep 60; echo never",
    );
    let record = timed_out(&fleet.execute("tim-own", &[]));
    assert_eq!(record["output"], "begun\n");
    let duration = record["duration_ms"].as_u64().expect("number");
    assert!((1_000..20_000).contains(&duration), "{record}");
}

fn a_call_tightens_the_timeout_for_itself_alone() {
    let fleet = plain();
    fleet.deploy_script("tim-call", "timeout: 50\n", "sleep ${1:-0}; echo done");
    let path = "/execute/tim-call";
    let body = br#"{"args":["60"]}"#;
    let began = Instant::now();
    timed_out(
        &fleet
            .api
            .call("POST", path, &[("x-flux-timeout", "200ms")], body),
    );
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(
        fleet.execute("tim-call", &[]).expect(200)["output"],
        "done\n"
    );
}

fn a_call_cannot_loosen_the_timeout() {
    let fleet = plain();
    fleet.deploy_script("tim-loose", "timeout: 1\n", "sleep 60");
    let began = Instant::now();
    timed_out(&execute_within(&fleet, "tim-loose", "1h"));
    assert!(began.elapsed() < Duration::from_secs(20));
}

fn a_function_without_a_timeout_takes_the_calls() {
    let fleet = plain();
    fleet.deploy_script("tim-none", "", "sleep 60");
    timed_out(&execute_within(&fleet, "tim-none", "200ms"));
}

fn every_form_of_a_duration_is_taken() {
    let fleet = plain();
    fleet.deploy_script("tim-forms", "", "echo quick");
    for timeout in ["30s", "30", "30000ms", "1m", "1h"] {
        let record = execute_within(&fleet, "tim-forms", timeout).expect(200);
        assert_eq!(record["output"], "quick\n", "{timeout}");
    }
}

fn an_asynchronous_call_has_its_timeout_too() {
    let fleet = plain();
    fleet.deploy_script("tim-async", "", "echo begun; sleep 60");
    let path = "/execute/tim-async/async";
    let reply = fleet
        .api
        .call("POST", path, &[("x-flux-timeout", "300ms")], b"{}")
        .expect(202);
    let record = fleet.await_end(reply["execution_id"].as_str().expect("id"));
    assert_eq!(
        (&record["status"], &record["reason"]),
        (&"failed".into(), &"timed_out".into())
    );
    assert_eq!(record["output"], "begun\n");
}

fn nothing_of_the_tree_is_alive_when_a_timeout_has_answered() {
    let fleet = plain();
    let pids = fleet.directory().join("tim-tree");
    std::fs::create_dir(&pids).expect("directory");
    super::leaving::open_to_functions(&pids);
    fleet.deploy_script(
        "tim-tree",
        crate::harness::OPEN_FILES,
        &super::leaving::tree_script(&pids),
    );
    timed_out(&execute_within(&fleet, "tim-tree", "1s"));
    let seen = super::leaving::pids_in(&pids);
    assert_eq!(seen.len(), 4, "the tree had grown");
    for pid in seen {
        assert!(!super::leaving::is_alive(pid), "{pid} is alive");
    }
}
