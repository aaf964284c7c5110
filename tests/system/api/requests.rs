//! Requests to execute that are refused before anything starts, each with what is wrong.

use serde_json::{Value, json};

use crate::api::plain::plain;
use crate::harness::{Fleet, Reply};
use crate::runner::tests;

tests![
    malformed_json_is_400,
    json_with_bad_fields_is_422_with_each_named,
    bad_timeout_headers_are_422,
    bad_idempotency_keys_are_422,
    a_header_that_stands_twice_is_400,
    query_keys_that_a_route_does_not_know_are_422,
    a_raw_body_with_impossible_arguments_is_422,
    a_body_beyond_its_limit_is_413,
    bad_execution_ids_are_422_and_unknown_ones_404,
    a_bad_last_event_id_is_422,
    refused_calls_leave_no_execution_behind,
];

const BOTH: [&str; 2] = ["/execute/req", "/execute/req/async"];

fn fleet() -> std::sync::Arc<Fleet> {
    let fleet = plain();
    static ONCE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONCE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if fleet.api.get("/functions/req").status != 200 {
        fleet.deploy_script("req", "", "echo ran");
    }
    fleet
}

/// Both execute calls have to refuse it alike, and nothing may have run.
fn refused(call: impl Fn(&str) -> Reply, check: impl Fn(&Reply)) {
    for path in BOTH {
        let reply = call(path);
        check(&reply);
        assert_eq!(reply.header("x-flux-execution-id"), None);
    }
}

fn malformed_json_is_400() {
    let fleet = fleet();
    for body in ["{", "{\"args\": [}", "nonsense", "{} {}", "\u{0}"] {
        refused(
            |path| {
                fleet.api.call(
                    "POST",
                    path,
                    &[("content-type", "application/json")],
                    body.as_bytes(),
                )
            },
            |reply| {
                reply.expect_error(400, "malformed_json");
            },
        );
    }
}

fn json_with_bad_fields_is_422_with_each_named() {
    let fleet = fleet();
    for (body, fields) in [
        (json!([]), &["body"][..]),
        (json!("text"), &["body"]),
        (json!({"args": "a b"}), &["args"]),
        (json!({"args": [1]}), &["args"]),
        (json!({"args": ["a", null]}), &["args"]),
        (json!({"args": ["a\u{0}b"]}), &["args"]),
        (json!({"args": vec![""; 5000]}), &["args"]),
        (json!({"args": ["a".repeat(128 * 1024)]}), &["args"]),
        (json!({"stdin": 5}), &["stdin"]),
        (json!({"env": ["A=1"]}), &["env"]),
        (json!({"env": {"A": 1}}), &["env"]),
        (json!({"env": {"A=B": "x"}}), &["env"]),
        (json!({"env": {"": "x"}}), &["env"]),
        (json!({"env": {"FLUX_EXECUTION_ID": "x"}}), &["env"]),
        (json!({"arg": ["a"]}), &["arg"]),
        (
            json!({"args": 1, "stdin": 1, "env": 1, "zzz": 1}),
            &["args", "stdin", "env", "zzz"],
        ),
    ] {
        refused(
            |path| fleet.api.post_json(path, &body),
            |reply| reply.expect_invalid(fields),
        );
    }
}

fn bad_timeout_headers_are_422() {
    let fleet = fleet();
    for value in ["", "soon", "-1s", "1.5s", "0", "0s", "10 days", "99999999h"] {
        refused(
            |path| {
                fleet
                    .api
                    .call("POST", path, &[("x-flux-timeout", value)], b"{}")
            },
            |reply| reply.expect_invalid(&["X-Flux-Timeout"]),
        );
    }
}

fn bad_idempotency_keys_are_422() {
    let fleet = fleet();
    for value in ["", "two words", &"k".repeat(256)] {
        refused(
            |path| {
                fleet
                    .api
                    .call("POST", path, &[("idempotency-key", value)], b"{}")
            },
            |reply| reply.expect_invalid(&["Idempotency-Key"]),
        );
    }
}

fn a_header_that_stands_twice_is_400() {
    let fleet = fleet();
    for name in ["x-flux-timeout", "idempotency-key", "content-type"] {
        refused(
            |path| {
                fleet
                    .api
                    .call("POST", path, &[(name, "5"), (name, "6")], b"{}")
            },
            |reply| assert_eq!(reply.status, 400, "{name}: {}", reply.text()),
        );
    }
}

fn query_keys_that_a_route_does_not_know_are_422() {
    let fleet = fleet();
    refused(
        |path| fleet.api.post_json(&format!("{path}?arg=x"), &json!({})),
        |reply| reply.expect_invalid(&["arg"]),
    );
    refused(
        |path| {
            fleet.api.call(
                "POST",
                &format!("{path}?argument=x"),
                &[("content-type", "text/plain")],
                b"",
            )
        },
        |reply| reply.expect_invalid(&["argument"]),
    );
    for (path, fields) in [
        ("/executions?state=running", &["state"][..]),
        ("/executions?status=done", &["status"]),
        ("/executions?status=", &["status"]),
        ("/executions?limit=0", &["limit"]),
        ("/executions?limit=501", &["limit"]),
        ("/executions?limit=-1", &["limit"]),
        ("/executions?limit=x", &["limit"]),
        ("/executions?limit=1&limit=2", &["limit"]),
        ("/executions?cursor=../x", &["cursor"]),
        ("/executions/e/output?stream=both", &["stream"]),
        ("/executions/e/output?offset=-1", &["offset"]),
        ("/executions/e/output?from=1", &["from"]),
    ] {
        let reply = fleet.api.get(path);
        assert_eq!(reply.status, 422, "{path}: {}", reply.text());
        reply.expect_invalid(fields);
    }
    fleet
        .api
        .get("/executions?function=Upper")
        .expect_error(422, "invalid_name");
}

fn a_raw_body_with_impossible_arguments_is_422() {
    let fleet = fleet();
    refused(
        |path| {
            fleet.api.call(
                "POST",
                &format!("{path}?arg=a%00b"),
                &[("content-type", "text/plain")],
                b"",
            )
        },
        |reply| assert!(matches!(reply.status, 400 | 422), "{}", reply.text()),
    );
}

fn a_body_beyond_its_limit_is_413() {
    let fleet = fleet();
    let large = "x".repeat((1 << 20) + 1);
    for kind in ["application/json", "application/octet-stream"] {
        refused(
            |path| {
                fleet
                    .api
                    .call("POST", path, &[("content-type", kind)], large.as_bytes())
            },
            |reply| {
                reply.expect_error(413, "body_too_large");
            },
        );
    }
}

fn bad_execution_ids_are_422_and_unknown_ones_404() {
    let fleet = fleet();
    for (method, of) in [
        ("GET", "/executions/{}"),
        ("DELETE", "/executions/{}"),
        ("GET", "/executions/{}/output"),
        ("GET", "/executions/{}/events"),
    ] {
        let call = |id: &str| fleet.api.call(method, &of.replace("{}", id), &[], b"");
        call("0198f0c2-0000-7000-8000-000000000001").expect_error(404, "execution_not_found");
        for bad in ["..%2Fx", "a.b", "-a", &"a".repeat(65)] {
            let reply = call(bad);
            assert!(
                matches!(reply.status, 400 | 422),
                "{method} {bad}: {}",
                reply.text()
            );
        }
        call("a.b").expect_error(422, "invalid_name");
    }
}

fn a_bad_last_event_id_is_422() {
    let fleet = fleet();
    let record = fleet.execute("req", &[]).expect(200);
    let path = format!(
        "/executions/{}/events",
        record["execution_id"].as_str().expect("id")
    );
    for bad in ["x", "-1", "1.5"] {
        let reply = fleet.api.call("GET", &path, &[("last-event-id", bad)], b"");
        reply.expect_invalid(&["Last-Event-ID"]);
    }
}

fn refused_calls_leave_no_execution_behind() {
    let fleet = plain();
    fleet.deploy_script("req-nothing", "", "echo ran");
    for path in ["/execute/req-nothing", "/execute/req-nothing/async"] {
        fleet
            .api
            .post_json(path, &json!({"args": 1}))
            .expect_invalid(&["args"]);
        let reply = fleet
            .api
            .call("POST", path, &[("x-flux-timeout", "x")], b"{}");
        reply.expect_invalid(&["X-Flux-Timeout"]);
    }
    let listed = fleet
        .api
        .get("/executions?function=req-nothing")
        .expect(200);
    assert_eq!(listed["executions"], Value::Array(Vec::new()));
}
