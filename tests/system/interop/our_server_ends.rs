//! PyPI's client on our server: calls that end before their answer, and a server that goes.

use serde_json::{Value, json};

use super::wire::{Ours, Wire};
use crate::rpc::double::Seen;
use crate::runner::tests;

tests![
    a_cancelled_stream_is_seen_by_the_worker in Wire::EVERY,
    a_cancelled_call_cancels_its_execution_and_its_answer_is_dropped in Wire::EVERY,
    a_call_and_its_execution_end_at_the_deadline_of_the_caller in Wire::EVERY,
    an_overdue_stream_is_ended_by_the_server in Wire::EVERY,
    a_running_call_ends_well_while_the_server_goes in Wire::EVERY,
    the_next_call_after_a_server_goes_finds_its_successor in Wire::EVERY,
];

/// What `unary` says.
fn answered() -> Value {
    json!({ "output": "ab", "execution": "e1", "status": "success" })
}

fn a_cancelled_stream_is_seen_by_the_worker(wire: Wire) {
    let ours = Ours::start(wire);
    let python = ours.called_by_python("cancelled_stream");
    assert_eq!(python.says(), json!({ "data": "hello" }));
    assert_eq!(python.says(), json!({ "code": "CANCELLED" }));
    assert!(matches!(ours.agent.next_seen(), Seen::FollowerLeft));
    assert_eq!(python.says(), answered(), "the connection goes on");
    python.ends();
}

fn a_cancelled_call_cancels_its_execution_and_its_answer_is_dropped(wire: Wire) {
    let ours = Ours::start(wire);
    let mut python = ours.called_by_python("cancelled_call");
    let held = ours.holds();
    python.tell("cancel");
    assert_eq!(python.says(), json!({ "cancelled": true }));
    ours.sees_it_cancelled(&held);
    held.end(b"too late");
    python.tell("answered");
    assert_eq!(python.says(), answered(), "the connection goes on");
    python.ends();
}

fn a_call_and_its_execution_end_at_the_deadline_of_the_caller(wire: Wire) {
    let ours = Ours::start(wire);
    let python = ours.called_by_python("call_with_a_timeout");
    assert_eq!(python.says(), answered());
    let held = ours.holds();
    assert_eq!(python.says(), json!({ "code": "DEADLINE_EXCEEDED" }));
    ours.sees_it_cancelled(&held);
    held.end(b"too late");
    assert_eq!(python.says(), answered(), "the connection goes on");
    python.ends();
}

fn an_overdue_stream_is_ended_by_the_server(wire: Wire) {
    let ours = Ours::start(wire);
    let python = ours.called_by_python("overdue");
    assert_eq!(python.says(), answered());
    assert!(matches!(ours.agent.next_seen(), Seen::FollowerLeft));
    let said = python.says();
    // What this client makes of a reset stream, before its own clock shows the deadline and after.
    let code = said["code"].as_str().unwrap();
    assert!(matches!(code, "CANCELLED" | "DEADLINE_EXCEEDED"), "{said}");
    let seconds = said["seconds"].as_f64().unwrap();
    assert!((0.5..10.0).contains(&seconds), "after {seconds} s");
    python.ends();
}

fn a_running_call_ends_well_while_the_server_goes(wire: Wire) {
    let mut ours = Ours::start(wire);
    let mut python = ours.called_by_python("shutdown");
    let held = ours.holds();
    let shutdown = ours.shut_down();
    assert_eq!(python.says(), json!({ "has_left": true }));
    python.tell("next");
    assert_eq!(python.says(), json!({ "next": "UNAVAILABLE" }));
    held.end(b"ended");
    assert_eq!(python.says(), json!({ "running": "ended" }));
    // Nothing runs any more, so nothing is waited for.
    shutdown.join();
    python.ends();
}

fn the_next_call_after_a_server_goes_finds_its_successor(wire: Wire) {
    let mut ours = Ours::start(wire);
    let mut python = ours.called_by_python("shutdown");
    let held = ours.holds();
    let shutdown = ours.shut_down();
    assert_eq!(python.says(), json!({ "has_left": true }));
    let _successor = ours.successor();
    python.tell("next");
    assert_eq!(python.says(), json!({ "next": "ab" }));
    held.end(b"ended");
    assert_eq!(python.says(), json!({ "running": "ended" }));
    shutdown.join();
    python.ends();
}
