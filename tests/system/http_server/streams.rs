//! Responses that are written while they are sent.

use std::io::{ErrorKind, Read};

use flux::http::Limits;

use super::support::{Fixture, get};
use crate::runner::tests;

tests![
    a_stream_is_sent_in_chunks_and_the_connection_stays,
    each_write_of_a_stream_is_one_chunk,
    a_stream_that_fails_is_seen_to_be_cut,
    events_are_framed_as_server_sent_events,
];

fn a_stream_is_sent_in_chunks_and_the_connection_stays() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    client.send(&get("/stream").repeat(2));
    for _ in 0..2 {
        let answer = client.answer();
        assert!(answer.has("Transfer-Encoding: chunked"));
        assert_eq!(answer.header("Content-Length"), None);
        assert_eq!(answer.body, "one two three");
    }
}

fn each_write_of_a_stream_is_one_chunk() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let raw = client.rest();
    let (_, body) = raw.split_once("\r\n\r\n").expect("a head");
    assert_eq!(body, "4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n");
}

fn a_stream_that_fails_is_seen_to_be_cut() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    client.send(&get("/cut"));
    assert!(client.try_answer(true).is_err());
    let mut old = fixture.connect();
    old.send("GET /cut HTTP/1.0\r\n\r\n");
    let mut received = Vec::new();
    // Here only the reset tells the part from the whole.
    let end = old.stream.read_to_end(&mut received);
    assert_eq!(
        end.map_err(|error| error.kind()),
        Err(ErrorKind::ConnectionReset)
    );
}

fn events_are_framed_as_server_sent_events() {
    let fixture = Fixture::start(Limits::default());
    let answer = fixture.ask(&get("/events"));
    assert!(answer.has("Content-Type: text/event-stream"));
    assert!(answer.has("Cache-Control: no-store"));
    assert_eq!(
        answer.body,
        "id: 1\nevent: output\ndata: a\ndata: b\n\n: \n\n"
    );
}
