//! Our client on PyPI's server: calls with one answer, and how they end.

use std::time::Duration;

use flux::base::cancel::Cancel;
use flux::model::execution::Status;
use flux::rpc::RpcError;
use flux::wire::error::ErrorKind;
use flux::wire::execute::ExecuteRequest;
use flux::wire::method::Method;
use flux::wire::proto;
use serde_json::json;

use super::wire::{Theirs, Wire};
use crate::rpc::double::{FOREIGN_WORDS, pattern};
use crate::rpc::fixture::{PATIENCE, now, request, within};
use crate::runner::tests;

tests![
    a_call_is_answered in Wire::EVERY,
    the_health_is_told in Wire::EVERY,
    a_refusal_arrives_with_its_details_and_words in Wire::EVERY,
    a_failure_without_details_keeps_its_code_and_words in Wire::EVERY,
    a_method_that_there_is_not_is_unimplemented in Wire::EVERY,
    three_megabytes_go_both_ways in Wire::EVERY,
    a_hundred_calls_share_a_connection in Wire::EVERY,
    binary_metadata_disturbs_nothing in Wire::EVERY,
    a_server_that_compresses_gets_no_wrong_answer_believed in Wire::EVERY,
    a_dropped_call_is_seen_by_the_server in Wire::EVERY,
    a_deadline_is_told_to_the_server_and_ends_the_call in Wire::EVERY,
    a_running_call_ends_well_while_the_server_goes in Wire::EVERY,
];

const MANY: usize = 100;

/// As a message, for what only `call` can do.
fn message(function: &str) -> proto::ExecutionRequest {
    proto::ExecutionRequest {
        function_name: function.to_owned(),
        execution_id: "e1".to_owned(),
        protocol: 1,
        ..Default::default()
    }
}

fn a_call_is_answered(wire: Wire) {
    let wish = request("echo");
    let executed = Theirs::start(wire).execute(wish.clone()).unwrap();
    assert_eq!(executed.output.bytes, b"ab");
    assert_eq!(executed.record.id, wish.id);
    assert_eq!(executed.record.status(), Status::Success);
}

fn the_health_is_told(wire: Wire) {
    let health = Theirs::start(wire).client.health().unwrap();
    assert!(health.healthy && health.version == "pypi", "{health:?}");
}

fn a_refusal_arrives_with_its_details_and_words(wire: Wire) {
    let error = Theirs::start(wire).execute(request("refuse")).unwrap_err();
    let refusal = error.refusal().unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(refusal.kind, ErrorKind::FunctionNotFound);
    assert_eq!(refusal.subject, "größer");
    assert_eq!(refusal.message, FOREIGN_WORDS);
}

fn a_failure_without_details_keeps_its_code_and_words(wire: Wire) {
    let error = Theirs::start(wire).execute(request("lose")).unwrap_err();
    let RpcError::Status { code, message } = error else {
        panic!("{error:?}");
    };
    assert_eq!((&*code, &*message), ("DATA_LOSS", FOREIGN_WORDS));
}

fn a_method_that_there_is_not_is_unimplemented(wire: Wire) {
    let unknown = "/flux.AgentService/DoesNotExist";
    let method: Method<proto::DrainRequest, proto::DrainResponse> = Method::new(unknown);
    let Theirs { client, .. } = &Theirs::start(wire);
    let answer = client.call(method, &proto::DrainRequest::default(), PATIENCE);
    let error = answer.unwrap_err();
    assert!(matches!(error, RpcError::Unimplemented), "{error:?}");
    assert!(client.health().is_ok(), "the connection goes on");
}

fn three_megabytes_go_both_ways(wire: Wire) {
    let stdin = pattern(0, 3 << 20);
    let wish = ExecuteRequest {
        stdin: stdin.clone(),
        ..request("stdin")
    };
    let executed = Theirs::start(wire).execute(wish).unwrap();
    assert!(executed.output.bytes == stdin);
}

fn a_hundred_calls_share_a_connection(wire: Wire) {
    let theirs = Theirs::start(wire);
    theirs.client.health().unwrap();
    let start = |number: usize| {
        let wish = ExecuteRequest {
            args: vec![number.to_string()],
            ..request("together")
        };
        let pending = theirs.client.start_execute(wish, Some(PATIENCE), now());
        pending.unwrap()
    };
    // None is answered before all of them are there.
    let pending: Vec<_> = (0..MANY).map(start).collect();
    for (number, pending) in pending.iter().enumerate() {
        let executed = pending.wait(&Cancel::never()).unwrap().unwrap();
        assert_eq!(executed.output.bytes, number.to_string().as_bytes());
    }
}

fn binary_metadata_disturbs_nothing(wire: Wire) {
    let theirs = Theirs::start(wire);
    let executed = theirs.execute(request("metadata")).unwrap();
    assert_eq!(executed.output.bytes, b"ab");
    assert_eq!(theirs.python.says(), json!({ "fields": ["user-agent"] }));
}

/// Whether it sends the message as it is or compressed against what was agreed on, is its business.
fn a_server_that_compresses_gets_no_wrong_answer_believed(wire: Wire) {
    let theirs = Theirs::start(wire);
    match theirs.execute(request("compressed")) {
        Ok(executed) => assert!(executed.output.bytes == [0; 100_000]),
        Err(error) => {
            assert!(!error.nothing_started(), "{error:?}");
            assert!(matches!(error, RpcError::Status { .. }), "{error:?}");
        }
    }
    assert!(theirs.client.health().is_ok(), "the connection goes on");
}

fn a_dropped_call_is_seen_by_the_server(wire: Wire) {
    let theirs = Theirs::start(wire);
    let pending = theirs.client.start_execute(request("hold"), None, now());
    assert_eq!(theirs.python.says()["seen"], "hold");
    drop(pending.unwrap());
    assert_eq!(theirs.python.says()["over"], "hold");
    assert!(theirs.client.health().is_ok(), "the connection goes on");
}

fn a_deadline_is_told_to_the_server_and_ends_the_call(wire: Wire) {
    let theirs = Theirs::start(wire);
    theirs.client.health().unwrap();
    let deadline = Duration::from_secs(2);
    let call = || {
        let method = proto::EXECUTE_FUNCTION;
        theirs.client.call(method, &message("hold"), deadline)
    };
    let error = within(deadline * 5, call).unwrap_err();
    assert!(matches!(error, RpcError::Deadline), "{error:?}");
    let seen = theirs.python.says();
    let remaining = seen["remaining"].as_f64().unwrap();
    assert!((0.1..=2.0).contains(&remaining), "{seen}");
    assert_eq!(theirs.python.says()["over"], "hold");
    assert!(theirs.client.health().is_ok(), "the connection goes on");
}

fn a_running_call_ends_well_while_the_server_goes(wire: Wire) {
    let mut theirs = Theirs::start(wire);
    let pending = theirs
        .client
        .start_execute(request("wait"), Some(PATIENCE), now());
    let pending = pending.unwrap();
    assert_eq!(theirs.python.says(), json!({ "seen": "wait" }));
    theirs.python.tell("stop");
    assert_eq!(theirs.python.says(), json!({ "stopping": true }));
    // It has said so on the wire a moment later.
    let error =
        crate::harness::eventually("a call that is not taken", || theirs.client.health().err());
    assert!(error.nothing_started(), "{error:?}");
    theirs.python.tell("go on");
    let executed = pending.wait(&Cancel::never()).unwrap().unwrap();
    assert_eq!(executed.output.bytes, b"waited");
}
