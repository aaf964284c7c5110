//! Server-Sent Events of an execution: every byte once, then the end.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::plain::plain;
use crate::harness::{Event, Fleet, fleet::fs_write};
use crate::runner::tests;

tests![
    chunks_come_while_it_runs_with_offsets_and_then_one_final_event,
    after_the_end_the_whole_output_and_the_final_event_come_at_once,
    a_client_that_comes_back_gets_every_byte_once,
    who_has_it_all_gets_only_the_end,
    bytes_that_are_no_text_come_as_base64_alone,
    a_follower_hears_of_a_cancel_as_the_end,
    many_followers_of_one_execution_all_get_all_of_it,
];

/// Checks the order of a whole stream that starts at `from`; gives its output and its last event.
#[track_caller]
fn read_through(events: &[Event], from: u64) -> (String, Value) {
    let (last, chunks) = events.split_last().expect("at least the end");
    let mut text = String::new();
    let mut offset = from;
    for chunk in chunks {
        assert_eq!(chunk.name, "output");
        assert_eq!(
            chunk.data["offset"], offset,
            "no byte twice and none left out"
        );
        let data = chunk.data["data"].as_str().expect("text");
        assert_eq!(
            chunk.data["data_base64"],
            openssl::base64::encode_block(data.as_bytes())
        );
        assert!(matches!(
            chunk.data["stream"].as_str(),
            Some("stdout" | "stderr")
        ));
        assert!(chunk.data["stream_offset"].as_u64() <= Some(offset));
        offset += data.len() as u64;
        assert_eq!(chunk.id.as_deref(), Some(offset.to_string().as_str()));
        text.push_str(data);
    }
    assert_eq!(last.name, "ended");
    (text, last.data.clone())
}

fn gated(name: &str) -> (Arc<Fleet>, std::path::PathBuf, String) {
    let fleet = plain();
    let gates = fleet.directory().join(name);
    fs::create_dir(&gates).expect("directory");
    let script = format!(
        "for i in 1 2 3; do echo out $i; until [ -e {0}/$i ]; do sleep 0.02; done; echo err $i >&2; done",
        gates.display()
    );
    fleet.deploy_script(name, "", &script);
    let id = fleet.execute_async(name, &[]);
    (fleet, gates, id)
}

const WHOLE: &str = "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n";

fn chunks_come_while_it_runs_with_offsets_and_then_one_final_event() {
    let (fleet, gates, id) = gated("eve-live");
    let mut stream = fleet.api.events(&id, None);
    let mut events = vec![stream.next().expect("the first chunk, before the end")];
    assert_eq!(events[0].data["data"], "out 1\n");
    assert_eq!(events[0].data["stream"], "stdout");
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    assert_eq!(record["status"], "running");
    for i in 1..=3 {
        fs_write(&gates.join(i.to_string()), "");
    }
    events.extend(stream);
    let (text, end) = read_through(&events, 0);
    // Between the two streams the order is the agent's; within each it is the function's.
    assert_eq!(text.len(), WHOLE.len());
    let of = |name: &str| -> String {
        let chunks = events.iter().filter(|event| event.data["stream"] == name);
        chunks
            .filter_map(|chunk| chunk.data["data"].as_str())
            .collect()
    };
    assert_eq!(of("stdout"), "out 1\nout 2\nout 3\n");
    assert_eq!(of("stderr"), "err 1\nerr 2\nerr 3\n");
    assert_eq!(end["status"], "success");
    assert_eq!(end["execution_id"], id);
    assert_eq!(
        (&end["reason"], &end["exit_code"]),
        (&json!("exited"), &json!(0))
    );
    assert_eq!(end.get("output"), None, "the output was in the chunks");
}

fn after_the_end_the_whole_output_and_the_final_event_come_at_once() {
    let fleet = plain();
    fleet.deploy_script(
        "eve-after",
        "",
        "echo one; sleep 0.05; echo two >&2; exit 3",
    );
    let record = fleet.execute("eve-after", &[]).expect(500);
    let id = record["execution_id"].as_str().expect("id");
    for _ in 0..2 {
        let events: Vec<_> = fleet.api.events(id, None).collect();
        let (text, end) = read_through(&events, 0);
        assert_eq!(text, "one\ntwo\n");
        assert_eq!(
            (&end["status"], &end["exit_code"]),
            (&json!("failed"), &json!(3))
        );
    }
}

fn a_client_that_comes_back_gets_every_byte_once() {
    let (fleet, gates, id) = gated("eve-resume");
    let mut first = fleet.api.events(&id, None);
    let seen = first.next().expect("chunk");
    let last = seen.id.clone().expect("an id");
    drop(first);
    fs_write(&gates.join("1"), "");
    fleet.await_output(&id, "out 2");
    let mut second = fleet.api.events(&id, Some(&last));
    let next = second.next().expect("chunk");
    assert_eq!(next.data["offset"], 6);
    let last = next.id.clone().expect("an id");
    drop(second);
    fs_write(&gates.join("2"), "");
    fs_write(&gates.join("3"), "");
    fleet.await_end(&id);
    let third: Vec<_> = fleet.api.events(&id, Some(&last)).collect();
    let mut all = vec![seen, next];
    all.extend(third);
    let (text, end) = read_through(&all, 0);
    assert_eq!(text.len(), WHOLE.len());
    assert_eq!(end["status"], "success");
}

fn who_has_it_all_gets_only_the_end() {
    let fleet = plain();
    fleet.deploy_script("eve-all", "", "printf 12345");
    let record = fleet.execute("eve-all", &[]).expect(200);
    let id = record["execution_id"].as_str().expect("id");
    for last in ["5", "500"] {
        let events: Vec<_> = fleet.api.events(id, Some(last)).collect();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].name, "ended");
    }
    let events: Vec<_> = fleet.api.events(id, Some("2")).collect();
    assert_eq!(read_through(&events, 2).0, "345");
}

fn bytes_that_are_no_text_come_as_base64_alone() {
    let fleet = plain();
    fleet.deploy_script("eve-bytes", "", r"printf '\377\000\n'");
    let record = fleet.execute("eve-bytes", &[]).expect(200);
    let id = record["execution_id"].as_str().expect("id");
    let events: Vec<_> = fleet.api.events(id, None).collect();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0].data["data_base64"], "/wAK");
    assert_eq!(events[0].data.get("data"), None);
}

fn a_follower_hears_of_a_cancel_as_the_end() {
    let fleet = plain();
    fleet.deploy_script("eve-cancel", "", "echo begun; sleep 600");
    let id = fleet.execute_async("eve-cancel", &[]);
    let mut stream = fleet.api.events(&id, None);
    assert_eq!(stream.next().expect("chunk").data["data"], "begun\n");
    fleet.api.delete(&format!("/executions/{id}")).expect(200);
    let end = stream.next().expect("the end");
    assert_eq!(
        (end.name.as_str(), &end.data["status"]),
        ("ended", &json!("cancelled"))
    );
    assert_eq!(stream.next(), None);
}

fn many_followers_of_one_execution_all_get_all_of_it() {
    let (fleet, gates, id) = gated("eve-many");
    let streams: Vec<_> = (0..8).map(|_| fleet.api.events(&id, None)).collect();
    for i in 1..=3 {
        fs_write(&gates.join(i.to_string()), "");
    }
    for stream in streams {
        let events: Vec<_> = stream.collect();
        assert_eq!(read_through(&events, 0).0.len(), WHOLE.len());
    }
}
