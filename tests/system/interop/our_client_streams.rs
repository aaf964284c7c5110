//! Our client on PyPI's server: streams, both ways.

use std::io::Cursor;

use flux::base::cancel::Cancel;
use flux::model::execution::Status;
use flux::model::function::Code;
use flux::model::ids::Digest;
use flux::rpc::follow::{Follower, Next};
use flux::rpc::release::OutgoingRelease;
use flux::wire::error::ErrorKind;
use flux::wire::output::FollowEvent;
use serde_json::json;

use super::wire::{Theirs, Wire};
use crate::rpc::double::{LONG, pattern};
use crate::rpc::fixture::{execution, function};
use crate::runner::tests;

tests![
    a_stream_arrives_in_order_and_ends in Wire::EVERY,
    a_hundred_megabytes_arrive_byte_for_byte in Wire::EVERY,
    a_pushed_release_arrives_byte_for_byte in Wire::EVERY,
    a_failure_in_the_middle_of_a_stream_arrives_as_its_kind in Wire::EVERY,
    a_follower_that_leaves_is_seen_by_the_server in Wire::EVERY,
];

const PUSHED: u64 = (20 << 20) + 777;

fn event(follower: &mut Follower) -> FollowEvent {
    match follower.next(&Cancel::never(), None).unwrap() {
        Next::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

/// Follows to the end, and checks every byte; how many there were.
fn followed(theirs: &Theirs, name: &str, offset: u64) -> u64 {
    let mut follower = theirs.client.follow(&execution(name), offset).unwrap();
    let mut at = offset;
    loop {
        match event(&mut follower) {
            FollowEvent::Output(chunk) => {
                let length = chunk.data.len() as u64;
                assert_eq!((chunk.offset, chunk.stream_offset), (at, at));
                assert!(
                    chunk.data == pattern(at, length),
                    "other bytes from {at} on"
                );
                at += length;
            }
            FollowEvent::Ended(record) => {
                assert_eq!(record.status(), Status::Success);
                let next = follower.next(&Cancel::never(), None);
                assert_eq!(next.unwrap(), Next::Over);
                return at - offset;
            }
        }
    }
}

fn a_stream_arrives_in_order_and_ends(wire: Wire) {
    assert_eq!(followed(&Theirs::start(wire), "talks", 5), 3);
}

fn a_hundred_megabytes_arrive_byte_for_byte(wire: Wire) {
    assert_eq!(followed(&Theirs::start(wire), "long", 0), LONG);
}

fn a_pushed_release_arrives_byte_for_byte(wire: Wire) {
    let theirs = Theirs::start(wire);
    let archive = pattern(0, PUSHED);
    let digest = Digest::from_sha256(openssl::sha::sha256(&archive));
    let code = Code {
        version: 4,
        digest: digest.clone(),
    };
    let release = OutgoingRelease {
        function: &function("resize"),
        code: &code,
        size_bytes: PUSHED,
        config: None,
    };
    let remark = theirs
        .client
        .push_release(&release, || Ok(Cursor::new(&archive)));
    assert_eq!(remark.unwrap(), "from Python");
    let seen = json!({
        "function": "resize",
        "announced": PUSHED,
        "size": PUSHED,
        "digest": digest.to_string(),
    });
    assert_eq!(theirs.python.says(), seen);
}

fn a_failure_in_the_middle_of_a_stream_arrives_as_its_kind(wire: Wire) {
    let theirs = Theirs::start(wire);
    let mut follower = theirs.client.follow(&execution("breaks"), 0).unwrap();
    assert!(matches!(event(&mut follower), FollowEvent::Output(_)));
    let error = follower.next(&Cancel::never(), None).unwrap_err();
    let kind = error.refusal().map(|refusal| refusal.kind);
    assert_eq!(kind, Some(ErrorKind::FunctionNotFound), "{error:?}");
}

fn a_follower_that_leaves_is_seen_by_the_server(wire: Wire) {
    let theirs = Theirs::start(wire);
    let mut follower = theirs.client.follow(&execution("silent"), 0).unwrap();
    assert!(matches!(event(&mut follower), FollowEvent::Output(_)));
    drop(follower);
    assert_eq!(theirs.python.says()["over"], "silent");
    assert!(theirs.client.health().is_ok(), "the connection goes on");
}
