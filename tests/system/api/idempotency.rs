//! `Idempotency-Key`: the first answer again, and never a second run.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::plain::plain;
use crate::harness::{Fleet, Reply, eventually, fleet::fs_write};
use crate::runner::tests;

tests![
    the_same_key_gives_a_synchronous_call_its_first_answer_again,
    a_failure_is_an_answer_too_and_is_not_run_again,
    the_same_key_gives_an_asynchronous_call_the_same_execution,
    a_key_for_a_different_call_is_409_and_runs_nothing,
    a_key_belongs_to_its_function,
    a_twin_of_a_call_that_still_runs_is_told_so_and_runs_nothing,
    of_many_calls_at_once_with_one_key_one_runs,
    a_key_is_free_again_after_a_call_that_started_nothing,
    a_key_survives_a_restart_of_the_control_plane,
    a_call_cut_off_by_a_crash_of_the_control_plane_is_settled_and_not_run_again,
];

/// Runs of a function so far, in any state.
fn runs(fleet: &Fleet, name: &str) -> usize {
    let listed = fleet
        .api
        .get(&format!("/executions?function={name}"))
        .expect(200);
    listed["executions"].as_array().expect("array").len()
}

fn call(fleet: &Fleet, path: &str, key: &str, body: &Value) -> Reply {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    fleet
        .api
        .call("POST", path, &headers, body.to_string().as_bytes())
}

fn counting(name: &str) -> Arc<Fleet> {
    let fleet = plain();
    fleet.deploy_script(
        name,
        "",
        "echo $FLUX_EXECUTION_ID \"$@\"; [ \"$1\" != fail ]",
    );
    fleet
}

fn the_same_key_gives_a_synchronous_call_its_first_answer_again() {
    let fleet = counting("ide-sync");
    let body = json!({"args": ["x"]});
    let first = call(&fleet, "/execute/ide-sync", "key-1", &body);
    first.expect(200);
    for _ in 0..3 {
        let again = call(&fleet, "/execute/ide-sync", "key-1", &body);
        assert_eq!(again.expect(200), first.json());
        for header in ["x-flux-execution-id", "x-flux-reason"] {
            assert_eq!(again.header(header), first.header(header));
        }
    }
    assert_eq!(runs(&fleet, "ide-sync"), 1);
    assert_ne!(
        call(&fleet, "/execute/ide-sync", "key-2", &body).expect(200),
        first.json()
    );
    assert_eq!(runs(&fleet, "ide-sync"), 2);
}

fn a_failure_is_an_answer_too_and_is_not_run_again() {
    let fleet = counting("ide-fails");
    let body = json!({"args": ["fail"]});
    let first = call(&fleet, "/execute/ide-fails", "key", &body);
    assert_eq!(first.expect(500)["status"], "failed");
    let again = call(&fleet, "/execute/ide-fails", "key", &body);
    assert_eq!(again.expect(500), first.json());
    assert_eq!(runs(&fleet, "ide-fails"), 1);
}

fn the_same_key_gives_an_asynchronous_call_the_same_execution() {
    let fleet = counting("ide-async");
    let path = "/execute/ide-async/async";
    let first = call(&fleet, path, "key", &json!({})).expect(202);
    assert_eq!(call(&fleet, path, "key", &json!({})).expect(202), first);
    fleet.await_end(first["execution_id"].as_str().expect("id"));
    assert_eq!(call(&fleet, path, "key", &json!({})).expect(202), first);
    assert_eq!(runs(&fleet, "ide-async"), 1);
}

fn a_key_for_a_different_call_is_409_and_runs_nothing() {
    let fleet = counting("ide-other");
    let path = "/execute/ide-other";
    call(&fleet, path, "key", &json!({"args": ["a"]})).expect(200);
    for body in [
        json!({"args": ["b"]}),
        json!({"args": ["a", ""]}),
        json!({"args": ["a"], "stdin": "x"}),
        json!({"args": ["a"], "env": {"A": "1"}}),
    ] {
        call(&fleet, path, "key", &body).expect_error(409, "idempotency_key_reused");
    }
    let other_kind = call(
        &fleet,
        "/execute/ide-other/async",
        "key",
        &json!({"args": ["a"]}),
    );
    other_kind.expect_error(409, "idempotency_key_reused");
    assert_eq!(runs(&fleet, "ide-other"), 1);
}

fn a_key_belongs_to_its_function() {
    let fleet = counting("ide-mine");
    counting("ide-yours");
    let mine = call(&fleet, "/execute/ide-mine", "shared-key", &json!({})).expect(200);
    let yours = call(&fleet, "/execute/ide-yours", "shared-key", &json!({})).expect(200);
    assert_ne!(mine["execution_id"], yours["execution_id"]);
}

fn a_twin_of_a_call_that_still_runs_is_told_so_and_runs_nothing() {
    let fleet = plain();
    let gate = fleet.directory().join("ide-gate");
    let script = format!(
        "echo begun; until [ -e {} ]; do sleep 0.02; done",
        gate.display()
    );
    fleet.deploy_script("ide-twin", "", &script);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| call(&fleet, "/execute/ide-twin", "key", &json!({})));
        eventually("the first runs", || {
            (runs(&fleet, "ide-twin") == 1).then_some(())
        });
        for _ in 0..2 {
            let twin = call(&fleet, "/execute/ide-twin", "key", &json!({}));
            twin.expect_error(409, "idempotency_pending");
            assert!(twin.header("retry-after").is_some());
        }
        fs_write(&gate, "");
        let first = first.join().expect("call").expect(200);
        assert_eq!(
            call(&fleet, "/execute/ide-twin", "key", &json!({})).expect(200),
            first
        );
    });
    assert_eq!(runs(&fleet, "ide-twin"), 1);
}

fn of_many_calls_at_once_with_one_key_one_runs() {
    let fleet = counting("ide-race");
    for (path, expected) in [("/execute/ide-race", 200), ("/execute/ide-race/async", 202)] {
        let key = format!("race-{expected}");
        let replies: Vec<_> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| call(&fleet, path, &key, &json!({}))))
                .collect();
            calls
                .into_iter()
                .map(|call| call.join().expect("call"))
                .collect()
        });
        let answered: Vec<_> = replies
            .iter()
            .filter(|reply| reply.status == expected)
            .collect();
        assert!(!answered.is_empty());
        for reply in &replies {
            if reply.status == expected {
                assert_eq!(reply.json(), answered[0].json());
            } else {
                reply.expect_error(409, "idempotency_pending");
            }
        }
    }
    assert_eq!(runs(&fleet, "ide-race"), 2);
}

fn a_key_is_free_again_after_a_call_that_started_nothing() {
    let fleet = plain();
    for suffix in ["", "/async"] {
        let name = format!("ide-free{}", suffix.replace('/', "-"));
        let path = format!("/execute/{name}{suffix}");
        let yaml = crate::harness::function_yaml(&name, "");
        call(&fleet, &path, "key", &json!({})).expect_error(404, "function_not_found");
        fleet.api.put("/functions", yaml.as_bytes()).expect(201);
        call(&fleet, &path, "key", &json!({})).expect_error(409, "function_not_deployed");
        call(&fleet, &path, "key", &json!({"args": 1})).expect_invalid(&["args"]);
        fleet.deploy_script(&name, "", "echo ran");
        let reply = call(&fleet, &path, "key", &json!({"args": ["another body"]}));
        assert!(matches!(reply.status, 200 | 202), "{}", reply.text());
        assert_eq!(runs(&fleet, &name), 1);
    }
}

fn a_key_survives_a_restart_of_the_control_plane() {
    let mut fleet = Fleet::start();
    fleet.deploy_script("ide-restart", "", "echo $FLUX_EXECUTION_ID");
    let sync = call(&fleet, "/execute/ide-restart", "sync-key", &json!({})).expect(200);
    let path = "/execute/ide-restart/async";
    let accepted = call(&fleet, path, "async-key", &json!({})).expect(202);
    fleet.await_end(accepted["execution_id"].as_str().expect("id"));
    for stop in [Fleet::stop_flux, Fleet::kill_flux] {
        stop(&mut fleet);
        fleet.restart_flux();
        assert_eq!(
            call(&fleet, "/execute/ide-restart", "sync-key", &json!({})).expect(200),
            sync
        );
        assert_eq!(
            call(&fleet, path, "async-key", &json!({})).expect(202),
            accepted
        );
        let other = call(&fleet, path, "async-key", &json!({"args": ["b"]}));
        other.expect_error(409, "idempotency_key_reused");
    }
    fleet.await_status("agent-1", "online");
    assert_eq!(runs(&fleet, "ide-restart"), 2);
}

fn a_call_cut_off_by_a_crash_of_the_control_plane_is_settled_and_not_run_again() {
    let mut fleet = Fleet::start();
    let gate = fleet.directory().join("gate");
    let script = format!(
        "echo begun; until [ -e {} ]; do sleep 0.02; done",
        gate.display()
    );
    fleet.deploy_script("ide-crash", "", &script);
    let head = [
        "POST /execute/ide-crash HTTP/1.1",
        "Idempotency-Key: key",
        "Content-Type: application/json",
        "Content-Length: 2",
    ];
    let cut_off = fleet.api.begin(&head, b"{}");
    eventually("it runs", || (runs(&fleet, "ide-crash") == 1).then_some(()));
    fleet.kill_flux();
    fleet.restart_flux();
    fleet.await_status("agent-1", "online");
    drop(cut_off);
    let pending = call(&fleet, "/execute/ide-crash", "key", &json!({}));
    // Either it still runs and is said so, or it ended with the connection to its caller.
    assert!(matches!(pending.status, 409 | 500), "{}", pending.text());
    fs_write(&gate, "");
    let settled = eventually("the first run's answer", || {
        let reply = call(&fleet, "/execute/ide-crash", "key", &json!({}));
        (reply.status != 409).then_some(reply)
    });
    assert!(matches!(settled.status, 200 | 500), "{}", settled.text());
    assert_eq!(
        call(&fleet, "/execute/ide-crash", "key", &json!({})).json(),
        settled.json()
    );
    assert_eq!(runs(&fleet, "ide-crash"), 1);
}
