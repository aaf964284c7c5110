//! What a function finds in its environment, exactly.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::plain::{AGENTS_SECRET, plain};
use crate::runner::tests;

tests![
    the_environment_is_what_the_contract_says_and_nothing_else,
    a_call_overrides_the_functions_own_environment_for_itself_alone,
    the_temporary_directory_is_not_the_functions_to_choose,
    every_execution_has_an_id_of_its_own_and_the_version_it_runs,
    a_function_does_not_see_the_environment_of_another,
];

/// `env -0` of one execution; the shell's own additions are left out.
fn environment(record: &Value) -> BTreeMap<String, String> {
    let output = record["output"].as_str().expect("text");
    output
        .split_terminator('\0')
        .filter_map(|entry| entry.split_once('='))
        .filter(|(name, _)| !matches!(*name, "PWD" | "OLDPWD" | "SHLVL" | "_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn the_environment_is_what_the_contract_says_and_nothing_else() {
    let fleet = plain();
    fleet.deploy_script("env-all", "env: {OWN: value, LEVEL: 3}\n", "exec env -0");
    let body = json!({"env": {"OF_CALL": "c a l l"}});
    let record = fleet.api.post_json("/execute/env-all", &body).expect(200);
    let mut found = environment(&record);
    let mut taken = |name: &str| {
        found
            .remove(name)
            .unwrap_or_else(|| panic!("{name} is missing"))
    };
    assert_eq!(taken("OWN"), "value");
    assert_eq!(taken("LEVEL"), "3");
    assert_eq!(taken("OF_CALL"), "c a l l");
    assert_eq!(
        taken("FLUX_EXECUTION_ID"),
        record["execution_id"].as_str().expect("id")
    );
    assert_eq!(taken("FLUX_FUNCTION_NAME"), "env-all");
    assert_eq!(taken("FLUX_FUNCTION_VERSION"), "1");
    assert_eq!(taken("FLUX_NODE_PRIVATE_IP"), "10.9.8.7");
    assert_eq!(taken("FLUX_NODE_PUBLIC_IP"), "203.0.113.5");
    assert_eq!(taken("PATH"), std::env::var("PATH").expect("PATH"));
    assert_eq!(taken("LANG"), "C.UTF-8");
    assert_eq!(taken("TZ"), "Pacific/Chatham");
    assert!(taken("HOME").starts_with('/'));
    assert!(taken("TMPDIR").starts_with('/'));
    assert_eq!(found, BTreeMap::new(), "nothing else");
    let output = record["output"].as_str().expect("text");
    assert!(!output.contains(AGENTS_SECRET), "{output}");
}

fn a_call_overrides_the_functions_own_environment_for_itself_alone() {
    let fleet = plain();
    fleet.deploy_script("env-override", "env: {WORD: own}\n", "echo $WORD");
    let body = json!({"env": {"WORD": "called"}});
    let called = fleet
        .api
        .post_json("/execute/env-override", &body)
        .expect(200);
    assert_eq!(called["output"], "called\n");
    assert_eq!(
        fleet.execute("env-override", &[]).expect(200)["output"],
        "own\n"
    );
}

fn the_temporary_directory_is_not_the_functions_to_choose() {
    let fleet = plain();
    fleet.deploy_script("env-tmpdir", "env: {TMPDIR: /var/tmp}\n", "echo $TMPDIR");
    let record = fleet.execute("env-tmpdir", &[]).expect(200);
    assert_ne!(record["output"], "/var/tmp\n");
}

fn every_execution_has_an_id_of_its_own_and_the_version_it_runs() {
    let fleet = plain();
    let script = "echo $FLUX_EXECUTION_ID $FLUX_FUNCTION_VERSION";
    fleet.deploy_script("env-version", "", script);
    let code = crate::harness::script_archive(&format!("{script}; true"));
    for expected in [1, 2] {
        for _ in 0..2 {
            let record = fleet.execute("env-version", &[]).expect(200);
            let id = record["execution_id"].as_str().expect("id");
            assert_eq!(record["output"], format!("{id} {expected}\n"));
        }
        fleet.api.put("/deploy/env-version", &code).expect(200);
    }
}

fn a_function_does_not_see_the_environment_of_another() {
    let fleet = plain();
    fleet.deploy_script("env-one", "env: {PASSWORD: of-the-first}\n", "env");
    fleet.deploy_script(
        "env-two",
        "",
        "env; cat /proc/[0-9]*/environ 2>/dev/null; true",
    );
    let first = fleet.execute("env-one", &[]).expect(200);
    assert!(
        first["output"]
            .as_str()
            .is_some_and(|text| text.contains("of-the-first"))
    );
    let second = fleet.execute("env-two", &[]).expect(200);
    let output = second["output"].as_str().expect("text");
    assert!(!output.contains("of-the-first"), "{output}");
    assert!(!output.contains(AGENTS_SECRET), "{output}");
}
