//! `flux init` and `flux deploy`.

use std::io::Cursor;

use flux::config::function::parse_function_yaml;
use serde_json::{Value, json};

use super::double::Double;
use super::flux::{Flux, write};
use crate::runner::tests;

tests![
    the_yaml_goes_first_and_then_the_code_as_a_zip_of_known_length,
    agents_that_failed_are_named_and_only_all_of_them_fail_the_deploy,
    what_would_fail_on_an_agent_fails_before_anything_is_sent,
    a_refused_yaml_stops_the_deploy_and_names_the_fields,
    a_new_function_is_valid_and_the_interpreted_ones_can_be_deployed_at_once,
    nothing_that_is_there_is_written_over,
    a_message_of_several_lines_comes_out_as_lines_and_moves_no_cursor,
    json_shows_both_answers_to_a_deploy_as_they_came,
];

const DEPLOYED: &str = "PUT /deploy/hello";

fn agents(deployed: u64, statuses: &[&str]) -> Value {
    let agents: Vec<_> = statuses
        .iter()
        .enumerate()
        .map(|(i, status)| json!({"agent_id": format!("a{i}"), "status": status, "message": "m"}))
        .collect();
    json!({"status": "success", "deployed_count": deployed, "total_agents": agents.len(), "agents": agents})
}

fn registered(double: &Double) {
    double.json(
        "PUT /functions",
        201,
        json!({"status": "success", "total_agents": 0, "agents": []}),
    );
}

fn the_yaml_goes_first_and_then_the_code_as_a_zip_of_known_length() {
    let double = Double::start();
    registered(&double);
    double.json(DEPLOYED, 200, agents(1, &["success"]));
    let flux = Flux::at(double.url());
    let ran = flux.run(&["deploy", &flux.function_directory()]).exits(0);
    assert_eq!(ran.stdout, "AGENT  STATUS   MESSAGE\na0     success  m\n");
    let requests = double.requests();
    assert_eq!(requests[0].body, b"name: hello\nhandler: run.sh\n");
    assert_eq!(requests[1].header("content-type"), Some("application/zip"));
    let length = requests[1].body.len().to_string();
    assert_eq!(requests[1].header("content-length"), Some(length.as_str()));
    let mut zip = zip::ZipArchive::new(Cursor::new(&requests[1].body)).expect("a zip");
    assert_eq!(zip.len(), 1);
    let file = zip.by_index(0).expect("a file");
    assert_eq!(file.name().expect("name"), "run.sh");
    assert_eq!(file.unix_mode().expect("mode") & 0o777, 0o755);
}

fn agents_that_failed_are_named_and_only_all_of_them_fail_the_deploy() {
    for (deployed, statuses, code) in [
        (1, ["success", "failed"].as_slice(), 0),
        (0, ["failed", "failed"].as_slice(), 1),
        (0, [].as_slice(), 0),
    ] {
        let double = Double::start();
        registered(&double);
        double.json(DEPLOYED, 200, agents(deployed, statuses));
        let flux = Flux::at(double.url());
        let ran = flux
            .run(&["deploy", &flux.function_directory()])
            .exits(code);
        let failed = statuses
            .iter()
            .filter(|&&status| status == "failed")
            .count();
        assert_eq!(ran.stderr.matches("failed (m)").count(), failed, "{ran:?}");
        assert_eq!(
            ran.stderr.contains("is stored"),
            statuses.is_empty(),
            "{ran:?}"
        );
    }
}

fn a_message_of_several_lines_comes_out_as_lines_and_moves_no_cursor() {
    let double = Double::start();
    registered(&double);
    let mut answer = agents(0, &["failed"]);
    answer["agents"][0]["message"] = json!("one\ntwo\u{1b}[2J");
    double.json(DEPLOYED, 200, answer);
    let flux = Flux::at(double.url());
    let ran = flux.run(&["deploy", &flux.function_directory()]).exits(1);
    assert!(
        ran.stderr
            .starts_with("flux: agent a0: failed (one\nflux: two\u{fffd}[2J); it is brought"),
        "{ran:?}"
    );
}

fn json_shows_both_answers_to_a_deploy_as_they_came() {
    let double = Double::start();
    let first = json!({"status": "success", "total_agents": 0, "agents": [], "news": 1});
    let second = json!({"status": "success", "total_agents": 0, "agents": [], "news": 2});
    double.json("PUT /functions", 201, first.clone());
    double.json(DEPLOYED, 200, second.clone());
    let flux = Flux::at(double.url());
    let ran = flux
        .run(&["deploy", &flux.function_directory(), "--json"])
        .exits(0);
    let both = json!({"registered": first, "deployed": second});
    assert_eq!(ran.stdout, format!("{both:#}\n"));
}

fn what_would_fail_on_an_agent_fails_before_anything_is_sent() {
    let double = Double::start();
    let flux = Flux::at(double.url());
    let directory = flux.function_directory();
    let yaml = flux.path("hello/function.yaml");
    write(
        &yaml,
        "# build: make all\nname: hello\nhandler: bin/x\n",
        0o644,
    );
    let ran = flux.run(&["deploy", &directory]).exits(2);
    assert!(
        ran.stderr.contains("hint: build it first: make all"),
        "{ran:?}"
    );
    write(&yaml, "name: hello\nhandler: run.sh\ntimeuot: 3\n", 0o644);
    let ran = flux.run(&["deploy", &directory]).exits(2);
    assert!(ran.stderr.contains("did you mean timeout?"), "{ran:?}");
    write(&yaml, "name: hello\nhandler: run.sh\n", 0o644);
    write(&flux.path("hello/run.sh"), "#!/bin/sh\n", 0o644);
    let ran = flux.run(&["deploy", &directory]).exits(2);
    assert!(ran.stderr.contains("chmod +x run.sh"), "{ran:?}");
    flux.run(&["deploy", "nowhere"]).exits(1);
    assert!(double.requests().is_empty());
}

fn a_refused_yaml_stops_the_deploy_and_names_the_fields() {
    let double = Double::start();
    let fields = json!([{"field": "handler", "message": "is bad"}]);
    let error =
        json!({"error": {"code": "invalid_function", "message": "bad fields", "fields": fields}});
    double.json("PUT /functions", 422, error);
    let flux = Flux::at(double.url());
    let ran = flux.run(&["deploy", &flux.function_directory()]).exits(1);
    assert!(ran.stderr.contains("handler: is bad"), "{ran:?}");
    assert_eq!(double.requests().len(), 1);
}

fn a_new_function_is_valid_and_the_interpreted_ones_can_be_deployed_at_once() {
    for (lang, is_ready) in [
        ("sh", true),
        ("python", true),
        ("rust", false),
        ("go", false),
    ] {
        let double = Double::start();
        let flux = Flux::at(double.url());
        flux.run(&["init", "hello", "--lang", lang]).exits(0);
        let yaml = std::fs::read(flux.path("hello/function.yaml")).expect("a yaml");
        let config = parse_function_yaml(&yaml).expect(lang);
        assert_eq!(config.name.as_str(), "hello");
        if is_ready {
            registered(&double);
            double.json(DEPLOYED, 200, agents(0, &[]));
            flux.run(&["deploy", "hello"]).exits(0);
            double.requests();
        } else {
            let ran = flux.run(&["deploy", "hello"]).exits(2);
            assert!(ran.stderr.contains("build it first: "), "{ran:?}");
        }
        let readme = std::fs::read_to_string(flux.path("hello/README.md")).expect("a readme");
        assert!(
            readme.contains("flux deploy .") && !readme.contains("{name}"),
            "{readme}"
        );
    }
}

fn nothing_that_is_there_is_written_over() {
    let flux = Flux::without_target();
    let directory = flux.function_directory();
    let ran = flux.run(&["init", "hello"]).exits(2);
    assert!(ran.stderr.contains("hello is there already"), "{ran:?}");
    let kept = std::fs::read_to_string(format!("{directory}/run.sh")).expect("kept");
    assert_eq!(kept, "#!/bin/sh\necho hello\n");
    flux.run(&["init", "../x"]).exits(2);
}
