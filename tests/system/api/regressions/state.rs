//! What agents and the store are said to be.

use serde_json::json;

use super::fleets::quick;
use crate::api::plain::plain;
use crate::harness::{Fleet, eventually, function_yaml, script_archive};
use crate::runner::tests;

tests![
    a_draining_agent_does_not_become_online_by_being_probed,
    a_store_that_cannot_be_written_is_503_and_never_a_202_or_a_404,
    a_failure_is_a_statement_to_its_client_and_has_its_causes_in_the_log,
    states_are_words_in_every_answer,
];

fn a_draining_agent_does_not_become_online_by_being_probed() {
    let fleet = Fleet::with(&quick());
    fleet
        .api
        .call("POST", "/agents/agent-1/drain", &[], b"")
        .expect(200);
    for _ in 0..10 {
        let before = fleet.agent("agent-1").expect("listed")["last_heartbeat"].clone();
        let agent = eventually("another probe", || {
            fleet
                .agent("agent-1")
                .filter(|agent| agent["last_heartbeat"] != before)
        });
        assert_eq!(agent["status"], "draining");
    }
}

fn a_store_that_cannot_be_written_is_503_and_never_a_202_or_a_404() {
    let fleet = Fleet::start();
    fleet.deploy_script("kept", "", "echo ran");
    let id = fleet.execute_async("kept", &[]);
    fleet.await_end(&id);
    let other = rusqlite::Connection::open(fleet.directory().join("state/flux.db")).expect("open");
    // Whoever holds this lock keeps all writers out, as a disk that hangs would.
    other.execute_batch("BEGIN IMMEDIATE").expect("lock");
    std::thread::scope(|scope| {
        let calls = [
            scope.spawn(|| fleet.api.post_json("/execute/kept/async", &json!({}))),
            scope.spawn(|| {
                fleet
                    .api
                    .put("/functions", function_yaml("fresh", "").as_bytes())
            }),
            scope.spawn(|| fleet.api.put("/deploy/kept", &script_archive("echo new"))),
            scope.spawn(|| fleet.api.delete("/functions/kept")),
            scope.spawn(|| {
                let headers = [("idempotency-key", "key")];
                fleet.api.call("POST", "/execute/kept", &headers, b"")
            }),
        ];
        for call in calls {
            let reply = call.join().expect("call");
            reply.expect_error(503, "store_unavailable");
            assert!(reply.header("retry-after").is_some());
        }
        // What needs no store goes on.
        fleet.api.get("/health").expect(200);
        assert_eq!(fleet.execute("kept", &[]).expect(200)["output"], "ran\n");
    });
    other.execute_batch("ROLLBACK").expect("unlock");
    // Nothing of what was refused has happened.
    fleet
        .api
        .get("/functions/fresh")
        .expect_error(404, "function_not_found");
    assert_eq!(
        fleet.api.get("/functions/kept").expect(200)["active_version"],
        1
    );
    let accepted = fleet.execute_async("kept", &[]);
    fleet.await_end(&accepted);
    let listed = fleet.api.get("/executions?function=kept").expect(200);
    assert_eq!(listed["executions"].as_array().map(Vec::len), Some(3));
}

fn a_failure_is_a_statement_to_its_client_and_has_its_causes_in_the_log() {
    let fleet = Fleet::start();
    let file = fleet.directory().join("state/flux.db");
    let other = rusqlite::Connection::open(&file).expect("open");
    other.execute_batch("BEGIN IMMEDIATE").expect("lock");
    let reply = fleet
        .api
        .put("/functions", function_yaml("fresh", "").as_bytes());
    let message = reply.expect_error(503, "store_unavailable");
    assert_eq!(
        message,
        "the function cannot be looked up or stored: the store does not answer as it should"
    );
    let chain = format!(
        "the function cannot be looked up or stored: the store cannot be used: cannot commit to {}: database is locked (error code 5)\n",
        file.display()
    );
    let log = fleet.flux.log();
    assert!(log.contains(&chain), "no {chain:?} in:\n{log}");
}

fn states_are_words_in_every_answer() {
    let fleet = plain();
    fleet.deploy_script("words", "", "true");
    let record = fleet.execute("words", &[]).expect(200);
    assert!(record["status"].is_string() && record["reason"].is_string());
    let agent = fleet.agent("agent-1").expect("listed");
    assert!(agent["status"].is_string());
    let resources = fleet.api.get("/resources").expect(200);
    assert!(resources["agents"][0]["status"].is_string());
}
