//! Who may call what.

use crate::api::plain::plain;
use crate::harness::{Fleet, FleetOptions};
use crate::runner::tests;

tests![
    every_route_but_health_and_ready_wants_the_key,
    a_call_without_any_credentials_is_refused,
    both_forms_of_the_key_are_taken_and_nothing_that_resembles_it,
    a_key_in_the_query_is_no_key,
    health_and_ready_answer_without_a_key,
    public_agents_opens_the_list_of_agents_and_nothing_else,
    no_answer_invites_pages_of_other_origins,
];

/// Every route that wants the key, with a path that would otherwise lead somewhere.
const LOCKED: [(&str, &str); 25] = [
    ("GET", "/agents"),
    ("GET", "/resources"),
    ("POST", "/initialize"),
    ("DELETE", "/nodes"),
    ("POST", "/agents/register"),
    ("POST", "/agents/enroll"),
    ("DELETE", "/agents/agent-1"),
    ("POST", "/agents/agent-1/drain"),
    ("GET", "/functions"),
    ("PUT", "/functions"),
    ("GET", "/functions/f"),
    ("DELETE", "/functions/f"),
    ("GET", "/functions/f/versions"),
    ("POST", "/functions/f/rollback"),
    ("PUT", "/deploy/f"),
    ("POST", "/execute/f"),
    ("POST", "/execute/f/async"),
    ("GET", "/executions"),
    ("GET", "/executions/e"),
    ("DELETE", "/executions/e"),
    ("GET", "/executions/e/output"),
    ("GET", "/executions/e/events"),
    // Without the key nobody learns which paths and methods there are.
    ("GET", "/nothing/here"),
    ("PATCH", "/functions"),
    ("PUT", "/health"),
];

fn every_route_but_health_and_ready_wants_the_key() {
    let fleet = plain();
    for (method, path) in LOCKED {
        for headers in [
            &[("x-api-key", "")][..],
            &[("x-api-key", "wrong-key-0123")],
            &[("authorization", "Bearer wrong-key-0123")],
        ] {
            let reply = fleet.api.call(method, path, headers, b"");
            assert_eq!(reply.status, 401, "{method} {path} {headers:?}");
            reply.expect_error(401, "unauthorized");
            assert!(reply.header("www-authenticate").is_some());
        }
    }
}

fn a_call_without_any_credentials_is_refused() {
    let fleet = plain();
    let mut stream = fleet.api.connect();
    std::io::Write::write_all(
        &mut stream,
        b"GET /functions HTTP/1.1\r\nHost: flux\r\nConnection: close\r\n\r\n",
    )
    .expect("request");
    let answer = std::io::read_to_string(stream).expect("answer");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(
        answer.contains(r#"{"error":{"code":"unauthorized""#),
        "{answer}"
    );
}

fn both_forms_of_the_key_are_taken_and_nothing_that_resembles_it() {
    let fleet = plain();
    let key = fleet.api.key.clone();
    let status = |name: &str, value: &str| {
        let headers = [(name, value)];
        fleet.api.call("GET", "/functions", &headers, b"").status
    };
    assert_eq!(status("x-api-key", &key), 200);
    assert_eq!(status("authorization", &format!("Bearer {key}")), 200);
    assert_eq!(status("authorization", &format!("bearer {key}")), 200);
    for near in [
        key[..key.len() - 1].to_owned(),
        format!("{key}x"),
        key.to_uppercase(),
        format!("{key},{key}"),
    ] {
        assert_eq!(status("x-api-key", &near), 401, "{near}");
        assert_eq!(status("authorization", &format!("Bearer {near}")), 401);
    }
    assert_eq!(status("authorization", &format!("Basic {key}")), 401);
    assert_eq!(status("authorization", &key), 401);
}

fn a_key_in_the_query_is_no_key() {
    let fleet = plain();
    let path = format!("/functions?api_key={0}&x-api-key={0}", fleet.api.key);
    let reply = fleet.api.call("GET", &path, &[("x-api-key", "")], b"");
    reply.expect_error(401, "unauthorized");
}

fn health_and_ready_answer_without_a_key() {
    let fleet = plain();
    let none = [("x-api-key", "")];
    let health = fleet.api.call("GET", "/health", &none, b"");
    assert_eq!(health.text(), r#"{"status":"ok"}"#);
    assert_eq!(health.status, 200);
    assert_eq!(health.header("content-type"), Some("application/json"));
    let ready = fleet.api.call("GET", "/ready", &none, b"").expect(200);
    assert_eq!(ready["status"], "ready");
    for path in ["/health", "/ready"] {
        let head = fleet.api.call("HEAD", path, &none, b"");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
}

fn public_agents_opens_the_list_of_agents_and_nothing_else() {
    let fleet = Fleet::with(&FleetOptions {
        flux_yaml: "public_agents: true\n".to_owned(),
        ..FleetOptions::default()
    });
    let none = [("x-api-key", "")];
    let agents = fleet.api.call("GET", "/agents", &none, b"").expect(200);
    assert_eq!(agents, serde_json::json!([]));
    for (method, path) in LOCKED.iter().filter(|(_, path)| *path != "/agents") {
        let status = fleet.api.call(method, path, &none, b"").status;
        assert_eq!(status, 401, "{method} {path}");
    }
}

fn no_answer_invites_pages_of_other_origins() {
    let fleet = plain();
    let origin = [("origin", "https://example.com")];
    for path in ["/health", "/functions"] {
        let reply = fleet.api.call("GET", path, &origin, b"");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{path}");
    }
}
