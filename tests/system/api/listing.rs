//! Executions listed: filtered, in pages.

use serde_json::{Value, json};

use crate::api::plain::plain;
use crate::harness::{AgentOptions, Fleet, FleetOptions};
use crate::runner::tests;

tests![
    pages_hold_every_execution_once_newest_first,
    filters_by_function_and_status_are_combined,
    a_listed_record_is_whole_but_for_its_output,
    an_agent_that_cannot_be_asked_is_named_and_its_executions_are_no_404,
];

fn ids(listed: &Value) -> Vec<String> {
    let executions = listed["executions"].as_array().expect("array");
    executions
        .iter()
        .map(|record| record["execution_id"].as_str().expect("id").to_owned())
        .collect()
}

fn pages_hold_every_execution_once_newest_first() {
    let fleet = plain();
    fleet.deploy_script("lst-pages", "", "exit ${1:-0}");
    let made: Vec<_> = (0..7)
        .map(|_| {
            fleet
                .execute("lst-pages", &[])
                .header("x-flux-execution-id")
                .expect("id")
                .to_owned()
        })
        .collect();
    let mut expected = made;
    expected.reverse();
    for limit in [1, 3, 6, 7, 500] {
        let mut found = Vec::new();
        let mut path = format!("/executions?function=lst-pages&limit={limit}");
        loop {
            let page = fleet.api.get(&path).expect(200);
            assert_eq!(page["unreachable_agents"], json!([]));
            let of_page = ids(&page);
            assert!(of_page.len() <= limit);
            found.extend(of_page);
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/executions?function=lst-pages&limit={limit}&cursor={cursor}");
        }
        assert_eq!(found, expected, "limit {limit}");
    }
}

fn filters_by_function_and_status_are_combined() {
    let fleet = plain();
    for name in ["lst-one", "lst-two"] {
        fleet.deploy_script(
            name,
            "",
            "[ \"$1\" = stay ] && exec sleep 600; exit ${1:-0}",
        );
    }
    let good = fleet.execute("lst-one", &[]).expect(200)["execution_id"].clone();
    let bad = fleet.execute("lst-one", &["1"]).expect(500)["execution_id"].clone();
    let running = fleet.execute_async("lst-one", &["stay"]);
    fleet.execute("lst-two", &[]).expect(200);
    let gone = fleet.execute_async("lst-one", &["stay"]);
    fleet.api.delete(&format!("/executions/{gone}")).expect(200);
    let list = |query: &str| ids(&fleet.api.get(&format!("/executions?{query}")).expect(200));
    assert_eq!(list("function=lst-one").len(), 4);
    assert_eq!(
        list("function=lst-one&status=success"),
        [good.as_str().expect("id")]
    );
    assert_eq!(
        list("function=lst-one&status=failed"),
        [bad.as_str().expect("id")]
    );
    assert_eq!(list("function=lst-one&status=running"), [running.as_str()]);
    assert_eq!(list("function=lst-one&status=cancelled"), [gone.as_str()]);
    assert_eq!(list("function=lst-two").len(), 1);
    assert_eq!(list("function=lst-never"), [""; 0]);
    assert!(list("limit=500").len() >= 5);
    fleet
        .api
        .delete(&format!("/executions/{running}"))
        .expect(200);
}

fn a_listed_record_is_whole_but_for_its_output() {
    let fleet = plain();
    fleet.deploy_script("lst-record", "", "echo text");
    let mut record = fleet.execute("lst-record", &[]).expect(200);
    record.as_object_mut().expect("object").remove("output");
    let listed = fleet.api.get("/executions?function=lst-record").expect(200);
    assert_eq!(listed["executions"], json!([record]));
}

fn an_agent_that_cannot_be_asked_is_named_and_its_executions_are_no_404() {
    let mut fleet = Fleet::with(&FleetOptions {
        flux_yaml: "limits: {heartbeat_interval: 100ms}\n".to_owned(),
        agents: vec![AgentOptions::default()],
    });
    fleet.deploy_script("lst-out", "", "echo kept; sleep 600");
    let id = fleet.execute_async("lst-out", &[]);
    fleet.await_output(&id, "kept");
    fleet.agents[0].daemon.kill9();
    fleet.await_status("agent-1", "offline");
    let listed = fleet.api.get("/executions").expect(200);
    assert_eq!(listed["unreachable_agents"], json!(["agent-1"]));
    // Each takes its time to try: all at once.
    std::thread::scope(|scope| {
        for path in ["", "/output", "/events"] {
            let (api, path) = (&fleet.api, format!("/executions/{id}{path}"));
            scope.spawn(move || api.get(&path).expect_error(503, "agent_unreachable"));
        }
        let (api, path) = (&fleet.api, format!("/executions/{id}"));
        scope.spawn(move || api.delete(&path).expect_error(503, "agent_unreachable"));
        // Nobody knows whether an id without a route is with the one that cannot be asked.
        let path = "/executions/0198f0c2-0000-7000-8000-000000000001";
        scope.spawn(move || api.get(path).expect_error(503, "agent_unreachable"));
    });
    fleet.agents[0].restart();
    fleet.await_status("agent-1", "online");
    assert_eq!(fleet.await_end(&id)["reason"], "lost");
}
