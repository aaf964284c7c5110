//! Functions: registered, read, replaced, deleted.

use serde_json::{Value, json};

use crate::api::plain::plain;
use crate::harness::{
    AgentOptions, Fleet, FleetOptions, eventually, function_yaml, script_archive,
};
use crate::runner::tests;

tests![
    registering_answers_with_what_happened_on_every_agent,
    a_function_reads_back_as_it_was_registered_without_the_values_of_its_environment,
    what_the_yaml_leaves_out_has_the_contracts_defaults,
    what_is_no_yaml_mapping_is_400,
    every_bad_field_is_named_and_nothing_is_stored,
    all_bad_fields_are_named_at_once_and_a_registered_function_stays_as_it_was,
    a_refused_environment_does_not_show_its_values,
    a_yaml_beyond_its_limit_is_413,
    registering_again_replaces_the_configuration_and_keeps_the_code,
    unknown_functions_are_404_and_impossible_names_422_everywhere,
    a_function_stored_without_any_agent_reaches_the_agent_that_comes_later,
    deleting_a_function_ends_it_everywhere_but_not_what_runs,
    a_function_registered_anew_after_its_deletion_starts_without_code,
];

const WHOLE: &str = "resources: {cpu: 500, memory: 128}
timeout: 30
max_concurrency: 7
max_concurrency_behavior: wait
resource_pressure_behavior: wait
max_wait: 90s
env: {COLOUR: s3cret-value, LEVEL: 3}
";

fn registering_answers_with_what_happened_on_every_agent() {
    let fleet = plain();
    let yaml = function_yaml("reg-answer", "");
    let reply = fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    assert_eq!(reply["status"], "success");
    assert_eq!(reply["registered_count"], 1);
    assert_eq!(reply["total_agents"], 1);
    assert_eq!(reply["agents"][0]["agent_id"], "agent-1");
    assert_eq!(reply["agents"][0]["status"], "success");
    assert!(reply["agents"][0]["message"].is_string());
}

fn a_function_reads_back_as_it_was_registered_without_the_values_of_its_environment() {
    let fleet = plain();
    let yaml = function_yaml("reg-whole", WHOLE);
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let reply = fleet.api.get("/functions/reg-whole");
    let function = reply.expect(200);
    assert_eq!(function["name"], "reg-whole");
    assert_eq!(function["handler"], "run");
    let resources = json!({"cpu": 500, "memory": 128, "disk": null, "pids": null});
    assert_eq!(function["resources"], resources);
    assert_eq!(function["timeout"], 30.0);
    assert_eq!(function["max_concurrency"], 7);
    assert_eq!(function["max_concurrency_behavior"], "wait");
    assert_eq!(function["resource_pressure_behavior"], "wait");
    assert_eq!(function["max_wait"], "90s");
    assert_eq!(function["env"], json!(["COLOUR", "LEVEL"]));
    assert_eq!(function["active_version"], Value::Null);
    assert!(!reply.text().contains("s3cret-value"));
    let listed = fleet.api.get("/functions").expect(200);
    let listed = listed.as_array().expect("array");
    assert!(listed.contains(&function));
}

fn what_the_yaml_leaves_out_has_the_contracts_defaults() {
    let fleet = plain();
    let yaml = function_yaml("reg-defaults", "timeout: 0\n");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let function = fleet.api.get("/functions/reg-defaults").expect(200);
    assert_eq!(function["timeout"], Value::Null);
    assert_eq!(function["max_concurrency"], 5);
    assert_eq!(function["max_concurrency_behavior"], "exit");
    assert_eq!(function["resource_pressure_behavior"], "exit");
    assert_eq!(function["max_wait"], "5m");
    let resources = json!({"cpu": null, "memory": null, "disk": null, "pids": null});
    assert_eq!(function["resources"], resources);
}

fn what_is_no_yaml_mapping_is_400() {
    let fleet = plain();
    for body in [
        &b""[..],
        b"name: [",
        b"- name: a\n- handler: b",
        b"just a text",
        b"name: a\n\thandler: b",
        b"name: \xff\xfe",
        b"a: &a [x]\nb: *unknown",
    ] {
        let reply = fleet.api.put("/functions", body);
        let shown = String::from_utf8_lossy(body).into_owned();
        assert_eq!(reply.status, 400, "{shown}: {}", reply.text());
        reply.expect_error(400, "malformed_yaml");
    }
}

/// A function.yaml, and the field in it that is bad.
const BAD_FIELDS: [(&str, &str); 31] = [
    ("handler: run", "name"),
    ("name: bad-fields", "handler"),
    ("name: Bad\nhandler: run", "name"),
    ("name: -bad\nhandler: run", "name"),
    ("name: ../bad\nhandler: run", "name"),
    ("name: \"\"\nhandler: run", "name"),
    ("name: bad-fields\nhandler: /bin/sh", "handler"),
    ("name: bad-fields\nhandler: ../run", "handler"),
    ("name: bad-fields\nhandler: a/../../run", "handler"),
    (
        "name: bad-fields\nhandler: run\nresources: {cpu: 0}",
        "resources.cpu",
    ),
    (
        "name: bad-fields\nhandler: run\nresources: {cpu: -1}",
        "resources.cpu",
    ),
    (
        "name: bad-fields\nhandler: run\nresources: {memory: 0}",
        "resources.memory",
    ),
    (
        "name: bad-fields\nhandler: run\nresources: {memory: lots}",
        "resources.memory",
    ),
    (
        "name: bad-fields\nhandler: run\nresources: {memory: 99999999999999}",
        "resources.memory",
    ),
    (
        "name: bad-fields\nhandler: run\nresources: {disc: 1}",
        "resources.disc",
    ),
    (
        "name: bad-fields\nhandler: run\nresources: {disk: 0}",
        "resources.disk",
    ),
    (
        "name: bad-fields\nhandler: run\nisolation: {user: root}",
        "isolation.user",
    ),
    (
        "name: bad-fields\nhandler: run\nisolation: {disk: none}",
        "isolation.disk",
    ),
    ("name: bad-fields\nhandler: run\nresources: 5", "resources"),
    ("name: bad-fields\nhandler: run\ntimeout: -1", "timeout"),
    ("name: bad-fields\nhandler: run\ntimeout: soon", "timeout"),
    ("name: bad-fields\nhandler: run\ntimeout: 500ms", "timeout"),
    (
        "name: bad-fields\nhandler: run\nmax_concurrency: 0",
        "max_concurrency",
    ),
    (
        "name: bad-fields\nhandler: run\nmax_concurrency: many",
        "max_concurrency",
    ),
    (
        "name: bad-fields\nhandler: run\nmax_concurrency_behavior: queue",
        "max_concurrency_behavior",
    ),
    (
        "name: bad-fields\nhandler: run\nresource_pressure_behavior: maybe",
        "resource_pressure_behavior",
    ),
    ("name: bad-fields\nhandler: run\nmax_wait: 25h", "max_wait"),
    ("name: bad-fields\nhandler: run\nenv: [a]", "env"),
    ("name: bad-fields\nhandler: run\nenv: {FLUX_X: 1}", "env"),
    ("name: bad-fields\nhandler: run\nenv: {\"A=B\": 1}", "env"),
    ("name: bad-fields\nhandler: run\ntimeuot: 5", "timeuot"),
];

fn every_bad_field_is_named_and_nothing_is_stored() {
    let fleet = plain();
    for (yaml, field) in BAD_FIELDS {
        let reply = fleet.api.put("/functions", yaml.as_bytes());
        assert_eq!(reply.status, 422, "{yaml}: {}", reply.text());
        reply.expect_invalid(&[field]);
    }
    fleet
        .api
        .get("/functions/bad-fields")
        .expect_error(404, "function_not_found");
}

fn all_bad_fields_are_named_at_once_and_a_registered_function_stays_as_it_was() {
    let fleet = plain();
    let yaml = function_yaml("reg-stays", "timeout: 9\n");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let before = fleet.api.get("/functions/reg-stays").expect(200);
    let bad = "name: reg-stays\nhandler: /run\ntimeout: x\nmax_concurrency: 0\nunknown: 1\n";
    let reply = fleet.api.put("/functions", bad.as_bytes());
    reply.expect_error(422, "invalid");
    let text = reply.text();
    for field in ["handler", "timeout", "max_concurrency", "unknown"] {
        assert!(
            text.contains(&format!(r#""field":"{field}""#)),
            "{field}: {text}"
        );
    }
    assert_eq!(fleet.api.get("/functions/reg-stays").expect(200), before);
}

fn a_refused_environment_does_not_show_its_values() {
    let fleet = plain();
    let yaml = function_yaml("reg-secret", "env: {FLUX_TOKEN: s3cret-in-error}\n");
    let reply = fleet.api.put("/functions", yaml.as_bytes());
    reply.expect_invalid(&["env"]);
    assert!(!reply.text().contains("s3cret-in-error"));
}

fn a_yaml_beyond_its_limit_is_413() {
    let fleet = plain();
    let yaml = function_yaml(
        "reg-large",
        &format!("env: {{A: {}}}\n", "x".repeat(65_536)),
    );
    let reply = fleet.api.put("/functions", yaml.as_bytes());
    reply.expect_error(413, "body_too_large");
}

fn registering_again_replaces_the_configuration_and_keeps_the_code() {
    let fleet = plain();
    fleet.deploy_script("reg-again", "env: {WORD: one}\n", "echo $WORD");
    assert_eq!(
        fleet.execute("reg-again", &[]).expect(200)["output"],
        "one\n"
    );
    let yaml = function_yaml("reg-again", "env: {WORD: two}\n");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let record = fleet.execute("reg-again", &[]).expect(200);
    assert_eq!(record["output"], "two\n");
    assert_eq!(record["function_version"], 1);
}

fn unknown_functions_are_404_and_impossible_names_422_everywhere() {
    let fleet = plain();
    let code = script_archive("true");
    for (method, of, body) in [
        ("GET", "/functions/{}", &b""[..]),
        ("DELETE", "/functions/{}", b""),
        ("GET", "/functions/{}/versions", b""),
        ("POST", "/functions/{}/rollback", b""),
        ("PUT", "/deploy/{}", &code),
        ("POST", "/execute/{}", b"{}"),
        ("POST", "/execute/{}/async", b"{}"),
    ] {
        let unknown = fleet
            .api
            .call(method, &of.replace("{}", "never-there"), &[], body);
        assert_eq!(unknown.status, 404, "{method} {of}: {}", unknown.text());
        unknown.expect_error(404, "function_not_found");
        for name in ["Upper", "a.b", "-a", &"a".repeat(64), "%C3%A4"] {
            let refused = fleet.api.call(method, &of.replace("{}", name), &[], body);
            assert_eq!(
                refused.status,
                422,
                "{method} {of} {name}: {}",
                refused.text()
            );
            refused.expect_error(422, "invalid_name");
        }
    }
}

fn a_function_stored_without_any_agent_reaches_the_agent_that_comes_later() {
    let mut fleet = Fleet::with(&FleetOptions::default());
    let yaml = function_yaml("early", "env: {WORD: waited}\n");
    let registered = fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    assert_eq!(registered["registered_count"], 0);
    assert_eq!(registered["total_agents"], 0);
    assert_eq!(registered["agents"], json!([]));
    let code = script_archive("echo $WORD");
    let deployed = fleet.api.put("/deploy/early", &code).expect(200);
    assert_eq!(deployed["deployed_count"], 0);
    assert_eq!(deployed["version"], 1);
    fleet.execute("early", &[]).expect_error(503, "no_agent");

    fleet.add_agent(&AgentOptions::default());
    let record = fleet.execute("early", &[]).expect(200);
    assert_eq!(record["output"], "waited\n");
}

fn deleting_a_function_ends_it_everywhere_but_not_what_runs() {
    let fleet = Fleet::start();
    let gate = fleet.directory().join("gate");
    let script = format!(
        "echo started; until [ -e {} ]; do sleep 0.02; done; echo done",
        gate.display()
    );
    fleet.deploy_script("goner", "", &script);
    let running = fleet.execute_async("goner", &[]);
    fleet.await_output(&running, "started");

    let deleted = fleet.api.delete("/functions/goner").expect(200);
    assert_eq!(deleted, json!({"status": "removed", "name": "goner"}));
    fleet
        .api
        .get("/functions/goner")
        .expect_error(404, "function_not_found");
    fleet
        .api
        .delete("/functions/goner")
        .expect_error(404, "function_not_found");
    fleet
        .execute("goner", &[])
        .expect_error(404, "function_not_found");

    crate::harness::fleet::fs_write(&gate, "");
    let record = fleet.await_end(&running);
    assert_eq!(
        (&record["status"], &record["output"]),
        (&json!("success"), &json!("started\ndone\n"))
    );
    eventually("the agent holds nothing of it any more", || {
        (fleet.agent("agent-1")?["functions"] == 0).then_some(())
    });
    let apps = fleet.agents[0].state_dir();
    eventually("its code is gone from the agent's disk", || {
        (!holds(&apps, "goner")).then_some(())
    });
}

/// Whether anything below `directory` has that name.
fn holds(directory: &std::path::Path, name: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return false;
    };
    entries.flatten().any(|entry| {
        entry.file_name().to_string_lossy().contains(name) || holds(&entry.path(), name)
    })
}

fn a_function_registered_anew_after_its_deletion_starts_without_code() {
    let fleet = plain();
    fleet.deploy_script("reborn", "", "echo old");
    fleet.api.delete("/functions/reborn").expect(200);
    let yaml = function_yaml("reborn", "");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    fleet
        .execute("reborn", &[])
        .expect_error(409, "function_not_deployed");
    fleet
        .api
        .put("/deploy/reborn", &script_archive("echo new"))
        .expect(200);
    assert_eq!(fleet.execute("reborn", &[]).expect(200)["output"], "new\n");
}
