//! Versions of a function: listed, rolled back to.

use serde_json::{Value, json};

use crate::api::plain::plain;
use crate::harness::{Fleet, script_archive};
use crate::runner::tests;

tests![
    versions_are_listed_newest_first_with_the_active_one_marked,
    a_rollback_without_a_number_goes_back_one_version_and_then_another,
    a_rollback_to_a_number_goes_there_in_either_direction,
    a_rollback_to_what_is_not_there_changes_nothing,
    a_function_without_code_has_no_versions_and_nothing_to_go_back_to,
    a_deploy_after_a_rollback_gets_a_number_that_was_never_used,
];

/// A function with three versions that say their number.
fn three(fleet: &Fleet, name: &str) {
    fleet.deploy_script(name, "", "echo 1");
    for number in [2, 3] {
        let code = script_archive(&format!("echo {number}"));
        fleet.api.put(&format!("/deploy/{name}"), &code).expect(200);
    }
}

fn versions_are_listed_newest_first_with_the_active_one_marked() {
    let fleet = plain();
    three(&fleet, "ver-list");
    let versions = fleet.api.get("/functions/ver-list/versions").expect(200);
    let versions = versions.as_array().expect("array");
    let numbers: Vec<_> = versions.iter().map(|version| &version["version"]).collect();
    assert_eq!(numbers, [3, 2, 1]);
    let active: Vec<_> = versions.iter().map(|version| &version["active"]).collect();
    assert_eq!(active, [true, false, false]);
    for version in versions {
        assert_eq!(version["digest"].as_str().map(str::len), Some(64));
        assert!(version["size_bytes"].as_u64() > Some(100));
        assert!(
            version["created_at"]
                .as_str()
                .is_some_and(|at| at.ends_with('Z'))
        );
    }
    let function = fleet.api.get("/functions/ver-list").expect(200);
    assert_eq!(function["active_version"], 3);
    assert_eq!(function["digest"], versions[0]["digest"]);
}

fn a_rollback_without_a_number_goes_back_one_version_and_then_another() {
    let fleet = plain();
    three(&fleet, "ver-back");
    for (expected, body) in [(2, &b""[..]), (1, b"{}")] {
        let path = "/functions/ver-back/rollback";
        let reply = fleet.api.call("POST", path, &[], body).expect(200);
        assert_eq!(reply["status"], "success");
        assert_eq!(reply["version"], expected);
        assert_eq!(
            (&reply["deployed_count"], &reply["total_agents"]),
            (&json!(1), &json!(1))
        );
        let record = fleet.execute("ver-back", &[]).expect(200);
        assert_eq!(record["output"], format!("{expected}\n"));
        assert_eq!(record["function_version"], expected);
    }
    let reply = fleet
        .api
        .post_json("/functions/ver-back/rollback", &json!({}));
    reply.expect_error(409, "no_earlier_version");
}

fn a_rollback_to_a_number_goes_there_in_either_direction() {
    let fleet = plain();
    three(&fleet, "ver-to");
    for number in [1, 3, 2, 2] {
        let body = json!({ "version": number });
        let reply = fleet.api.post_json("/functions/ver-to/rollback", &body);
        assert_eq!(reply.expect(200)["version"], number);
        assert_eq!(
            fleet.execute("ver-to", &[]).expect(200)["output"],
            format!("{number}\n")
        );
    }
}

fn a_rollback_to_what_is_not_there_changes_nothing() {
    let fleet = plain();
    three(&fleet, "ver-none");
    let rollback = |body: Value| fleet.api.post_json("/functions/ver-none/rollback", &body);
    rollback(json!({"version": 4})).expect_error(404, "version_not_found");
    for bad in [json!(0), json!(-1), json!("1"), json!(1.5), json!([1])] {
        rollback(json!({ "version": bad })).expect_invalid(&["version"]);
    }
    rollback(json!({"version": 1, "verison": 2})).expect_invalid(&["verison"]);
    let path = "/functions/ver-none/rollback";
    fleet
        .api
        .call("POST", path, &[], b"{")
        .expect_error(400, "malformed_json");
    assert_eq!(fleet.execute("ver-none", &[]).expect(200)["output"], "3\n");
}

fn a_function_without_code_has_no_versions_and_nothing_to_go_back_to() {
    let fleet = plain();
    let yaml = crate::harness::function_yaml("ver-empty", "");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let versions = fleet.api.get("/functions/ver-empty/versions").expect(200);
    assert_eq!(versions, json!([]));
    let reply = fleet
        .api
        .post_json("/functions/ver-empty/rollback", &json!({}));
    reply.expect_error(409, "no_earlier_version");
}

fn a_deploy_after_a_rollback_gets_a_number_that_was_never_used() {
    let fleet = plain();
    three(&fleet, "ver-next");
    fleet
        .api
        .post_json("/functions/ver-next/rollback", &json!({"version": 1}))
        .expect(200);
    let reply = fleet
        .api
        .put("/deploy/ver-next", &script_archive("echo 4"))
        .expect(200);
    assert_eq!(reply["version"], 4);
}
