//! The commands that ask once and show the answer.

use serde_json::{Value, json};

use super::double::Double;
use super::flux::Flux;
use crate::runner::tests;

tests![
    lists_are_tables_for_people_and_the_apis_json_on_demand,
    executions_are_filtered_and_what_is_missing_is_said,
    a_record_is_shown_without_its_output,
    changes_are_sent_as_the_api_takes_them,
    an_enrolment_token_is_all_that_stdout_gets,
    status_needs_a_ready_control_plane,
    nobody_at_the_address_is_69_and_a_stranger_there_a_failure,
    wrong_names_and_unknown_options_are_usage_errors_that_send_nothing,
    a_server_cannot_move_the_terminals_cursor,
    a_closed_stdout_is_a_quiet_end,
    completions_and_help_need_no_control_plane,
    certificates_are_listed_and_keys_left_alone,
];

pub fn one(line: &str, status: u16, answer: Value, args: &[&str]) -> (super::flux::Ran, Double) {
    let double = Double::start();
    double.json(line, status, answer);
    let ran = Flux::at(double.url()).run(args);
    double.requests();
    (ran, double)
}

fn lists_are_tables_for_people_and_the_apis_json_on_demand() {
    let functions =
        json!([{"name": "hello", "handler": "run.sh", "active_version": 3, "updated_at": "t"}]);
    let (ran, _double) = one("GET /functions", 200, functions.clone(), &["functions"]);
    let ran = ran.exits(0);
    assert_eq!(
        ran.stdout,
        "FUNCTION  HANDLER  VERSION  UPDATED\nhello     run.sh   3        t\n"
    );
    let (ran, _double) = one(
        "GET /functions",
        200,
        functions.clone(),
        &["--json", "functions"],
    );
    assert_eq!(
        serde_json::from_str::<Value>(&ran.exits(0).stdout).expect("JSON"),
        functions
    );
}

fn executions_are_filtered_and_what_is_missing_is_said() {
    let answer = json!({
        "executions": [{"execution_id": "e1", "function_name": "f", "status": "running"}],
        "next_cursor": "c2",
        "unreachable_agents": ["a9"],
    });
    let (ran, _double) = one(
        "GET /executions?limit=5&function=f&status=running&cursor=c1",
        200,
        answer,
        &[
            "executions",
            "--function",
            "f",
            "--status",
            "running",
            "--limit",
            "5",
            "--cursor",
            "c1",
        ],
    );
    let ran = ran.exits(0);
    assert!(
        ran.stdout.contains("e1") && ran.stdout.lines().count() == 2,
        "{ran:?}"
    );
    assert!(
        ran.stderr.contains("--cursor c2") && ran.stderr.contains("agent a9"),
        "{ran:?}"
    );
}

fn a_record_is_shown_without_its_output() {
    let record =
        json!({"execution_id": "e1", "status": "failed", "output": "LONG", "usage": {"cpu_ms": 3}});
    let (ran, _double) = one("GET /executions/e1", 200, record, &["execution", "e1"]);
    let ran = ran.exits(0);
    assert!(
        ran.stdout.contains("usage.cpu_ms") && !ran.stdout.contains("LONG"),
        "{ran:?}"
    );
}

fn changes_are_sent_as_the_api_takes_them() {
    let changed = json!({"status": "success", "version": 2, "total_agents": 0, "agents": []});
    let agent = json!({"id": "a1", "address": "h:1", "status": "draining"});
    for (args, line, status, body, answer) in [
        (
            ["rollback", "f", "2"].as_slice(),
            "POST /functions/f/rollback",
            200,
            Some(json!({"version": 2})),
            &changed,
        ),
        (
            &["rollback", "f"],
            "POST /functions/f/rollback",
            200,
            Some(json!({})),
            &changed,
        ),
        (
            &["delete", "f"],
            "DELETE /functions/f",
            200,
            None,
            &json!({"status": "removed", "name": "f"}),
        ),
        (
            &["cancel", "e1"],
            "DELETE /executions/e1",
            200,
            None,
            &json!({"status": "cancelled", "execution_id": "e1"}),
        ),
        (
            &["agent", "register", "h:1", "--no-tls"],
            "POST /agents/register",
            201,
            Some(json!({"address": "h:1", "tls": false})),
            &json!({"status": "registered", "id": "a1", "address": "h:1", "node": null}),
        ),
        (
            &["agent", "drain", "a1"],
            "POST /agents/a1/drain",
            200,
            Some(json!({"drain": true})),
            &agent,
        ),
        (
            &["agent", "drain", "a1", "--undo"],
            "POST /agents/a1/drain",
            200,
            Some(json!({"drain": false})),
            &agent,
        ),
        (
            &["agent", "remove", "a1"],
            "DELETE /agents/a1",
            200,
            None,
            &json!({"status": "removed", "id": "a1"}),
        ),
    ] {
        let (ran, double) = one(line, status, answer.clone(), args);
        ran.exits(0);
        if let Some(body) = body {
            assert_eq!(double.requests()[0].json(), body, "{args:?}");
        }
    }
}

fn an_enrolment_token_is_all_that_stdout_gets() {
    let (ran, double) = one(
        "POST /agents/enroll",
        201,
        json!({"agent_id": "worker-1", "token": "t0ken", "expires_at": "soon"}),
        &["agent", "enroll", "worker-1"],
    );
    let ran = ran.exits(0);
    assert_eq!(ran.stdout, "t0ken\n");
    assert!(
        ran.stderr.contains("flux-agent join") && !ran.stderr.contains("t0ken"),
        "{ran:?}"
    );
    assert_eq!(double.requests()[0].json(), json!({"agent_id": "worker-1"}));
}

fn status_needs_a_ready_control_plane() {
    let double = Double::start();
    let node = json!({"cpu_percent": 12.5, "memory_percent": 50.0, "memory_used_mb": 1,
        "memory_total_mb": 2, "active_tasks": 0, "uptime_seconds": 3});
    let agent = |id: &str, node: &Value| json!({"id": id, "address": "h:1", "status": "online", "node_status": node});
    let resources = json!({"flux": {"node": node, "news": 1},
        "agents": [agent("a1", &node), agent("a2", &Value::Null)]});
    for json in [false, true] {
        double.json("GET /ready", 200, json!({"status": "ready"}));
        double.json("GET /resources", 200, resources.clone());
        let mut args = vec!["status"];
        args.extend(json.then_some("--json"));
        let ran = Flux::at(double.url()).run(&args).exits(0);
        if json {
            let status =
                json!({"url": double.url(), "ready": {"status": "ready"}, "resources": resources});
            assert_eq!(ran.stdout, format!("{status:#}\n"));
            continue;
        }
        let rows: Vec<Vec<&str>> = ran
            .stdout
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows[1],
            [&double.url(), "ready", "12.5", "50.0", "1/2", "0"]
        );
        assert_eq!(rows[2], ["a1", "online", "12.5", "50.0", "1/2", "0"]);
        assert_eq!(rows[3], ["a2", "online", "-", "-", "-/-", "-"]);
    }
    let error = json!({"error": {"code": "not_ready", "message": "the store is down"}});
    let (ran, _double) = one("GET /ready", 503, error, &["status"]);
    assert!(ran.exits(1).stderr.contains("the store is down"));
}

fn nobody_at_the_address_is_69_and_a_stranger_there_a_failure() {
    let ran = Flux::at("http://127.0.0.1:1".to_owned())
        .run(&["agents"])
        .exits(69);
    assert!(
        ran.stderr.contains("cannot reach http://127.0.0.1:1"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("hint: "), "{ran:?}");
    let double = Double::start();
    double.on("GET /agents", |stream| {
        super::double::send(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>",
        );
    });
    Flux::at(double.url()).run(&["agents"]).exits(1);
}

fn wrong_names_and_unknown_options_are_usage_errors_that_send_nothing() {
    let double = Double::start();
    let flux = Flux::at(double.url());
    for args in [
        ["functions", "../agents"].as_slice(),
        &["cancel", "a/b"],
        &["agent", "drain", "A"],
        &["exec", "Bad Name"],
        &["exec", "f", "--env", "NOVALUE"],
        &["exec", "f", "--env", "FLUX_X=1"],
        &["exec", "f", "--timeout", "soon"],
        &["executions", "--status", "odd"],
        &["executions", "--limit", "501"],
        &["frobnicate"],
        &[],
    ] {
        flux.run(args).exits(2);
    }
    assert!(double.requests().is_empty());
}

fn a_server_cannot_move_the_terminals_cursor() {
    let answer = json!([{"id": "a\u{1b}[2J", "address": "x\r\ny", "status": "online"}]);
    let (ran, _double) = one("GET /agents", 200, answer, &["agents"]);
    let ran = ran.exits(0);
    assert!(
        !ran.stdout.contains(['\u{1b}', '\r']) && ran.stdout.lines().count() == 2,
        "{ran:?}"
    );
}

fn a_closed_stdout_is_a_quiet_end() {
    let double = Double::start();
    double.json("GET /agents", 200, json!([]));
    let ran = Flux::at(double.url()).run_unread(&["agents"]);
    assert_eq!(ran.exits(141).stderr, "");
}

fn completions_and_help_need_no_control_plane() {
    let flux = Flux::without_target();
    for shell in ["bash", "zsh", "fish"] {
        let ran = flux.run(&["completions", shell]).exits(0);
        assert!(ran.stdout.contains("rollback"), "{shell}");
    }
    flux.run(&["--help"]).exits(0);
    flux.run(&["exec", "--help"]).exits(0);
}

fn certificates_are_listed_and_keys_left_alone() {
    let flux = Flux::without_target();
    let certs = flux.path("certs/ca");
    std::fs::create_dir_all(&certs).expect("mkdir");
    super::flux::write(&certs.join("ca-key.pem"), "not a certificate", 0o600);
    super::flux::write(&certs.join("ca.pem"), &certificate(), 0o644);
    let ran = flux.run(&["pki", "--certs-dir", "certs"]).exits(0);
    assert!(ran.stdout.contains("authority"), "{ran:?}");
    assert!(
        ran.stdout.contains("  30  ") || ran.stdout.contains("  29  "),
        "{ran:?}"
    );
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    flux.run(&["pki", "--certs-dir", "absent"]).exits(1);
}

fn certificate() -> String {
    use openssl::asn1::Asn1Time;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::x509::{X509, X509Name};
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("group");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("key")).expect("key");
    let mut name = X509Name::builder().expect("name");
    name.append_entry_by_nid(Nid::COMMONNAME, "Test Authority")
        .expect("cn");
    let name = name.build();
    let mut builder = X509::builder().expect("builder");
    builder.set_subject_name(&name).expect("subject");
    builder.set_issuer_name(&name).expect("issuer");
    builder.set_pubkey(&key).expect("pubkey");
    builder
        .set_not_before(&Asn1Time::days_from_now(0).expect("now"))
        .expect("before");
    builder
        .set_not_after(&Asn1Time::days_from_now(30).expect("then"))
        .expect("after");
    builder.sign(&key, MessageDigest::sha256()).expect("signed");
    String::from_utf8(builder.build().to_pem().expect("pem")).expect("UTF-8")
}
