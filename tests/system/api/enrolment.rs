//! How a worker gets its certificate: one token, one use, one fleet.

use std::path::Path;
use std::process::{Command, Output};

use flux::model::ids::AgentId;
use flux::pki::EnrolmentToken;
use flux::pki::enrolment::EnrolRequest;
use flux::pki::invitation::Invitation;
use flux::pki::join::key_and_request;
use serde_json::{Value, json};

use crate::api::plain::plain;
use crate::harness::{Api, Fleet, FleetOptions, fleet::FLUX_AGENT};
use crate::runner::tests;

tests![
    a_token_works_once,
    a_token_that_nobody_made_is_refused,
    who_only_knows_the_tokens_id_gets_nothing_and_does_not_spoil_it,
    a_token_is_for_its_agent_alone,
    an_agent_that_expects_another_ca_refuses_the_answer_and_writes_nothing,
    an_expired_token_is_refused,
    enrolments_that_make_no_sense_are_refused_by_name,
    without_certificates_there_is_nothing_to_enrol_into,
    what_a_join_sends_is_bounded,
];

fn enrol(fleet: &Fleet, id: &str) -> String {
    let reply = fleet
        .api
        .post_json("/agents/enroll", &json!({"agent_id": id}))
        .expect(201);
    assert_eq!(reply["agent_id"], id);
    assert!(
        reply["expires_at"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z')),
        "{reply}"
    );
    reply["token"].as_str().expect("token").to_owned()
}

#[expect(clippy::disallowed_methods, reason = "tests start the real programs")]
fn join(api: &Api, token: &str, directory: &Path) -> Output {
    let config = directory.join("agent.yaml");
    Command::new(FLUX_AGENT)
        .args(["join", &api.url, token, "--config"])
        .arg(config)
        .output()
        .expect("flux-agent")
}

/// A join that is refused leaves nothing behind.
#[track_caller]
fn refused(api: &Api, token: &str) -> String {
    let directory = tempfile::tempdir().expect("tempdir");
    let output = join(api, token, directory.path());
    assert!(!output.status.success());
    let left = std::fs::read_dir(directory.path())
        .expect("directory")
        .count();
    assert_eq!(left, 0, "nothing is written by a join that failed");
    String::from_utf8(output.stderr).expect("text")
}

/// A request to join as `id`, made with `token`; and the token's id.
fn request(id: &str, token: &EnrolmentToken) -> (Value, String) {
    let agent = AgentId::new(id).expect("id");
    let key = key_and_request(&agent).expect("key");
    let request = EnrolRequest::new(token, &agent, &key.request).expect("request");
    (
        serde_json::to_value(&request).expect("JSON"),
        token.id.to_string(),
    )
}

fn post(api: &Api, token_id: &str, body: &Value) -> crate::harness::Reply {
    let headers = [("x-api-key", ""), ("x-flux-token-id", token_id)];
    api.call(
        "POST",
        "/agents/join",
        &headers,
        body.to_string().as_bytes(),
    )
}

fn token_of(text: &str) -> EnrolmentToken {
    text.parse::<Invitation>().expect("invitation").token
}

fn a_token_works_once() {
    let fleet = plain();
    let token = enrol(&fleet, "once");
    let directory = tempfile::tempdir().expect("tempdir");
    let output = join(&fleet.api, &token, directory.path());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let yaml = std::fs::read_to_string(directory.path().join("agent.yaml")).expect("written");
    assert!(yaml.contains("agent_id: once"), "{yaml}");
    let said = refused(&fleet.api, &token);
    assert!(said.contains("401"), "{said}");
    assert!(!said.contains(&token_of(&token).secret.reveal()), "{said}");
}

fn a_token_that_nobody_made_is_refused() {
    let fleet = plain();
    let made = token_of(&enrol(&fleet, "stranger"));
    let invented = EnrolmentToken::generate(made.ca).expect("token");
    let (body, id) = request("stranger", &invented);
    post(&fleet.api, &id, &body).expect_error(401, "token_refused");
    post(&fleet.api, "", &body).expect_error(401, "token_refused");
    post(&fleet.api, "' OR 1=1", &body).expect_error(401, "token_refused");
    let text = format!("stranger:{}", invented.reveal());
    assert!(refused(&fleet.api, &text).contains("401"));
}

fn who_only_knows_the_tokens_id_gets_nothing_and_does_not_spoil_it() {
    let fleet = plain();
    let text = enrol(&fleet, "forged");
    let token = token_of(&text);
    let guessed = EnrolmentToken {
        secret: EnrolmentToken::generate(token.ca).expect("token").secret,
        ..token.clone()
    };
    let (forged, id) = request("forged", &guessed);
    let (mut changed, _) = request("forged", &token);
    changed["agent_id"] = json!("another");
    let (mut without, _) = request("forged", &token);
    without["mac"] = json!("");
    for body in [&forged, &changed, &without] {
        post(&fleet.api, &id, body).expect_error(401, "token_refused");
    }
    for body in [json!({}), json!([]), json!({"token_id": id}), json!("x")] {
        let reply = post(&fleet.api, &id, &body);
        assert!(matches!(reply.status, 400 | 422), "{}", reply.text());
    }
    let directory = tempfile::tempdir().expect("tempdir");
    assert!(join(&fleet.api, &text, directory.path()).status.success());
}

fn a_token_is_for_its_agent_alone() {
    let fleet = plain();
    let token = token_of(&enrol(&fleet, "meant"));
    let (body, id) = request("usurper", &token);
    post(&fleet.api, &id, &body).expect_error(401, "token_refused");
}

fn an_agent_that_expects_another_ca_refuses_the_answer_and_writes_nothing() {
    let fleet = plain();
    let other = EnrolmentToken::generate(flux::pki::Fingerprint::from_sha256([7; 32]));
    let token = token_of(&enrol(&fleet, "pinned"));
    let mispinned = EnrolmentToken {
        ca: other.expect("token").ca,
        ..token
    };
    let said = refused(&fleet.api, &format!("pinned:{}", mispinned.reveal()));
    assert!(said.contains("CA"), "{said}");
}

fn an_expired_token_is_refused() {
    let mut fleet = Fleet::with(&FleetOptions::default());
    let token = enrol(&fleet, "late");
    // Only the store knows the time of a token: set it back there while nobody has it open.
    fleet.stop_flux();
    expire_tokens(&fleet.directory().join("state"));
    fleet.restart_flux();
    assert!(refused(&fleet.api, &token).contains("401"));
}

fn expire_tokens(state: &Path) {
    let store = rusqlite::Connection::open(state.join("flux.db")).expect("open");
    let changed = store
        .execute("UPDATE tokens SET expires_at = 1", [])
        .expect("update");
    assert_eq!(changed, 1);
}

fn enrolments_that_make_no_sense_are_refused_by_name() {
    let fleet = plain();
    let enroll = |body: Value| fleet.api.post_json("/agents/enroll", &body);
    enroll(json!({})).expect_invalid(&["agent_id"]);
    enroll(json!({"agent_id": "Upper"})).expect_invalid(&["agent_id"]);
    enroll(json!({"agent_id": 5, "ttl": 1})).expect_invalid(&["agent_id", "ttl"]);
    let reply = fleet.api.call("POST", "/agents/enroll", &[], b"nonsense");
    reply.expect_error(400, "malformed_json");
}

fn without_certificates_there_is_nothing_to_enrol_into() {
    let fleet = Fleet::with(&FleetOptions {
        flux_yaml: "disable_grpc_tls: true\n".to_owned(),
        ..FleetOptions::default()
    });
    let reply = fleet
        .api
        .post_json("/agents/enroll", &json!({"agent_id": "a"}));
    reply.expect_error(409, "pki_disabled");
    post(&fleet.api, "0123456789abcdef", &json!({})).expect_error(409, "pki_disabled");
}

fn what_a_join_sends_is_bounded() {
    let fleet = plain();
    let token = token_of(&enrol(&fleet, "bounded"));
    let head = [
        "POST /agents/join HTTP/1.1",
        &format!("X-Flux-Token-Id: {}", token.id),
        "Content-Length: 100000",
    ];
    fleet
        .api
        .raw(&head, b"")
        .expect_error(413, "body_too_large");
}
