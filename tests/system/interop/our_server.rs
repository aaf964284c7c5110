//! PyPI's client on our server: calls of every kind, and what they say when they fail.

use serde_json::{Value, json};

use super::wire::{Ours, Wire};
use crate::rpc::double::{FOREIGN_WORDS, LONG, REMARK, Seen};
use crate::runner::tests;

tests![
    a_call_is_answered in Wire::EVERY,
    the_health_is_told in Wire::EVERY,
    a_stream_arrives_in_order_and_ends in Wire::EVERY,
    a_hundred_megabytes_arrive_byte_for_byte in Wire::EVERY,
    a_pushed_release_arrives_byte_for_byte in Wire::EVERY,
    every_refusal_arrives_with_its_code_and_its_details in Wire::EVERY,
    a_message_beyond_ascii_arrives_as_it_is in Wire::EVERY,
    a_method_that_there_is_not_is_unimplemented in Wire::EVERY,
    three_megabytes_go_both_ways in Wire::EVERY,
    a_hundred_calls_share_a_channel in Wire::EVERY,
    binary_metadata_disturbs_nothing in Wire::EVERY,
    a_compressed_message_is_refused_as_unimplemented in Wire::EVERY,
    a_client_without_a_certificate_is_refused,
];

const MANY: usize = 100;

fn a_call_is_answered(wire: Wire) {
    let python = Ours::start(wire).runs("unary");
    assert_eq!(python, [answered()]);
}

/// What `unary` says.
fn answered() -> Value {
    json!({ "output": "ab", "execution": "e1", "status": "success" })
}

fn the_health_is_told(wire: Wire) {
    let said = Ours::start(wire).runs("health");
    assert_eq!(said, [json!({ "healthy": true, "version": "9.9" })]);
}

fn a_stream_arrives_in_order_and_ends(wire: Wire) {
    let said = Ours::start(wire).runs("stream");
    let output = json!([[5, [5]], [6, [6]], [7, [7]]]);
    assert_eq!(said, [json!({ "output": output, "status": "success" })]);
}

fn a_hundred_megabytes_arrive_byte_for_byte(wire: Wire) {
    let said = Ours::start(wire).runs("long_stream");
    assert_eq!(said, [json!({ "bytes": LONG, "status": "success" })]);
}

fn a_pushed_release_arrives_byte_for_byte(wire: Wire) {
    let ours = Ours::start(wire);
    let said = ours.runs("push");
    let Seen::Installed(header, bytes) = ours.agent.next_seen() else {
        panic!("not installed");
    };
    let digest = header.code.digest.to_string();
    assert_eq!(
        said,
        [json!({ "success": true, "remark": REMARK, "digest": digest })]
    );
    assert_eq!(header.size_bytes, bytes.len() as u64);
    assert_eq!(hexadecimal(&openssl::sha::sha256(&bytes)), digest);
}

fn every_refusal_arrives_with_its_code_and_its_details(wire: Wire) {
    // In the order of their numbers.
    let codes = [
        "RESOURCE_EXHAUSTED",
        "RESOURCE_EXHAUSTED",
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "FAILED_PRECONDITION",
        "FAILED_PRECONDITION",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
        "INTERNAL",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "RESOURCE_EXHAUSTED",
    ];
    let said = Ours::start(wire).runs("refusals");
    assert_eq!(said.len(), codes.len());
    for ((index, code), said) in codes.iter().enumerate().zip(&said) {
        assert_eq!(said["code"], *code, "{said}");
        assert_eq!(said["kind"], index + 1, "{said}");
        assert_eq!(said["subject"], format!("refuse-{index}"), "{said}");
        assert_ne!(said["message"], "", "{said}");
    }
}

fn a_message_beyond_ascii_arrives_as_it_is(wire: Wire) {
    let said = Ours::start(wire).runs("foreign_words");
    assert_eq!(said[0]["code"], "INTERNAL");
    let message = said[0]["message"].as_str().unwrap();
    assert!(message.ends_with(FOREIGN_WORDS), "{message:?}");
}

fn a_method_that_there_is_not_is_unimplemented(wire: Wire) {
    let said = Ours::start(wire).runs("unknown_method");
    assert_eq!(said, [json!({ "code": "UNIMPLEMENTED" })]);
}

fn three_megabytes_go_both_ways(wire: Wire) {
    let said = Ours::start(wire).runs("large_messages");
    assert_eq!(said, [json!({ "bytes": 3 << 20, "is_same": true })]);
}

fn a_hundred_calls_share_a_channel(wire: Wire) {
    let ours = Ours::start(wire);
    let python = ours.called_by_python("many");
    // None is answered before all of them are here.
    let held: Vec<_> = (0..MANY).map(|_| ours.holds()).collect();
    for it in held.into_iter().rev() {
        let output = it.request.args[0].clone();
        it.end(output.as_bytes());
    }
    let outputs: Vec<_> = (0..MANY).map(|number| number.to_string()).collect();
    assert_eq!(python.says(), json!({ "outputs": outputs }));
    python.ends();
}

fn binary_metadata_disturbs_nothing(wire: Wire) {
    let said = Ours::start(wire).runs("binary_metadata");
    assert_eq!(said, [json!({ "output": "ab" })]);
}

fn a_compressed_message_is_refused_as_unimplemented(wire: Wire) {
    let said = Ours::start(wire).runs("compressed");
    assert_eq!(said[0]["code"], "UNIMPLEMENTED", "{}", said[0]);
    assert_eq!(said[1], answered(), "the next call, which is not");
}

fn a_client_without_a_certificate_is_refused() {
    let mut ours = Ours::start(Wire::MutualTls);
    let papers = ours.papers.as_object_mut().unwrap();
    papers.remove("key");
    papers.remove("certificate");
    let said = ours.runs("refused");
    assert_eq!(said, [json!({ "code": "UNAVAILABLE" })]);
    assert!(ours.agent.seen.is_empty());
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
