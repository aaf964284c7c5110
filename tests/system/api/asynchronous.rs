//! Executions that nobody waits for: accepted, watched, cancelled.

use std::fs;

use serde_json::{Value, json};

use crate::api::execute::is_record;
use crate::api::leaving::{is_alive, open_to_functions, pids_in, tree_script};
use crate::api::plain::plain;
use crate::harness::{OPEN_FILES, eventually, fleet::fs_write};
use crate::runner::tests;

tests![
    an_accepted_call_says_its_id_in_body_and_header_and_runs_to_its_end,
    a_raw_body_is_taken_asynchronously_too,
    a_failure_is_recorded_as_such,
    output_grows_while_it_runs_and_so_does_its_total,
    a_final_record_never_changes,
    the_whole_tree_is_dead_when_a_cancel_answers,
    a_synchronous_execution_can_be_cancelled_by_its_id_and_its_caller_hears_so,
    of_two_cancels_at_once_one_at_most_hears_that_it_was_the_one,
];

fn an_accepted_call_says_its_id_in_body_and_header_and_runs_to_its_end() {
    let fleet = plain();
    fleet.deploy_script("asy-accepted", "", "cat; echo \" $1 $WORD\"");
    let body = json!({"args": ["a"], "stdin": "in", "env": {"WORD": "w"}});
    let reply = fleet.api.post_json("/execute/asy-accepted/async", &body);
    let accepted = reply.expect(202);
    assert_eq!(accepted["status"], "accepted");
    let id = accepted["execution_id"].as_str().expect("id");
    assert_eq!(accepted.as_object().map(serde_json::Map::len), Some(2));
    assert_eq!(reply.header("x-flux-execution-id"), Some(id));
    assert!(reply.header("x-flux-reason").is_some());
    let record = fleet.await_end(id);
    is_record(&record);
    assert_eq!(record["status"], "success");
    assert_eq!(record["output"], "in a w\n");
}

fn a_raw_body_is_taken_asynchronously_too() {
    let fleet = plain();
    fleet.deploy_script("asy-raw", "", "echo \"$1\"; cat");
    let path = "/execute/asy-raw/async?arg=x%20y";
    let reply = fleet
        .api
        .call("POST", path, &[("content-type", "text/csv")], b"1,2");
    let record = fleet.await_end(reply.expect(202)["execution_id"].as_str().expect("id"));
    assert_eq!(record["output"], "x y\n1,2");
}

fn a_failure_is_recorded_as_such() {
    let fleet = plain();
    fleet.deploy_script("asy-fails", "", "exit 7");
    let record = fleet.await_end(&fleet.execute_async("asy-fails", &[]));
    assert_eq!(record["status"], "failed");
    assert_eq!(
        (&record["reason"], &record["exit_code"]),
        (&json!("exited"), &json!(7))
    );
}

fn output_grows_while_it_runs_and_so_does_its_total() {
    let fleet = plain();
    let gates = fleet.directory().join("asy-gates");
    fs::create_dir(&gates).expect("directory");
    let script = format!(
        "for i in 1 2 3; do echo line $i; until [ -e {}/$i ]; do sleep 0.02; done; done",
        gates.display()
    );
    fleet.deploy_script("asy-grows", "", &script);
    let id = fleet.execute_async("asy-grows", &[]);
    let mut expected = String::new();
    for i in 1..=3 {
        fleet.await_output(&id, &format!("line {i}"));
        expected.push_str(&format!("line {i}\n"));
        let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
        is_record(&record);
        assert_eq!(record["status"], "running");
        assert_eq!(record["output"], expected);
        assert_eq!(
            (&record["reason"], &record["exit_code"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(record["stdout_bytes"], expected.len());
        let raw = fleet
            .api
            .get(&format!("/executions/{id}/output?stream=stdout"));
        assert_eq!(raw.text(), expected);
        assert_eq!(raw.header("x-flux-output-ended"), Some("false"));
        fs_write(&gates.join(i.to_string()), "");
    }
    let record = fleet.await_end(&id);
    assert_eq!(
        (&record["status"], &record["output"]),
        (&json!("success"), &json!(expected))
    );
}

fn a_final_record_never_changes() {
    let fleet = plain();
    fleet.deploy_script("asy-final", "", "echo end");
    let id = fleet.execute_async("asy-final", &[]);
    let record = fleet.await_end(&id);
    fleet
        .api
        .delete(&format!("/executions/{id}"))
        .expect_error(409, "execution_ended");
    assert_eq!(
        fleet.api.get(&format!("/executions/{id}")).expect(200),
        record
    );
}

fn the_whole_tree_is_dead_when_a_cancel_answers() {
    let fleet = plain();
    let pids = fleet.directory().join("asy-pids");
    fs::create_dir(&pids).expect("directory");
    open_to_functions(&pids);
    fleet.deploy_script("asy-cancel", OPEN_FILES, &tree_script(&pids));
    let id = fleet.execute_async("asy-cancel", &[]);
    let tree = eventually("the tree has grown", || {
        let tree = pids_in(&pids);
        (tree.len() == 4).then_some(tree)
    });
    let path = format!("/executions/{id}");
    let cancelled = fleet.api.delete(&path).expect(200);
    for pid in tree {
        assert!(!is_alive(pid), "{pid} is alive");
    }
    assert_eq!(
        cancelled,
        json!({"status": "cancelled", "execution_id": id})
    );
    let record = fleet.api.get(&path).expect(200);
    is_record(&record);
    assert_eq!(
        (&record["status"], &record["reason"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    assert_eq!(record["output"], "grown\n");
    fleet.api.delete(&path).expect_error(409, "execution_ended");
    assert_eq!(fleet.api.get(&path).expect(200), record);
}

fn a_synchronous_execution_can_be_cancelled_by_its_id_and_its_caller_hears_so() {
    let fleet = plain();
    fleet.deploy_script("asy-sync-cancel", "", "echo begun; sleep 600");
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| fleet.execute("asy-sync-cancel", &[]));
        let id = eventually("it runs", || {
            let listed = fleet
                .api
                .get("/executions?function=asy-sync-cancel&status=running");
            let id = listed.expect(200)["executions"][0]["execution_id"].clone();
            id.as_str().map(str::to_owned)
        });
        fleet.await_output(&id, "begun");
        fleet.api.delete(&format!("/executions/{id}")).expect(200);
        let reply = caller.join().expect("caller");
        let record = reply.expect(500);
        assert_eq!(record["status"], "cancelled");
        assert_eq!(reply.header("x-flux-execution-id"), Some(id.as_str()));
        assert_eq!(reply.header("x-flux-reason"), Some("cancelled"));
    });
}

fn of_two_cancels_at_once_one_at_most_hears_that_it_was_the_one() {
    let fleet = plain();
    fleet.deploy_script("asy-twice", "", "echo begun; sleep 600");
    let id = fleet.execute_async("asy-twice", &[]);
    fleet.await_output(&id, "begun");
    let path = format!("/executions/{id}");
    let mut statuses = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| fleet.api.delete(&path).status))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("call"))
            .collect::<Vec<_>>()
    });
    statuses.sort_unstable();
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 409)),
        "{statuses:?}"
    );
    assert_eq!(fleet.await_end(&id)["status"], "cancelled");
}
