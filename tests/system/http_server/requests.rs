//! Well-formed requests: one connection, many requests, bodies both ways.

use flux::http::Limits;

use super::support::{Fixture, get};
use crate::runner::tests;

tests![
    a_connection_serves_one_request_after_another,
    pipelined_requests_are_answered_in_order,
    many_pipelined_requests_are_all_answered,
    a_request_that_comes_byte_by_byte_is_one_request,
    path_and_query_reach_the_handler_decoded,
    head_is_answered_like_get_without_the_body,
    http_1_0_closes_unless_it_is_asked_to_stay,
    a_connection_ends_after_its_number_of_requests,
    a_client_that_waits_for_100_continue_gets_it_when_the_body_is_wanted,
];

fn a_connection_serves_one_request_after_another() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    for _ in 0..3 {
        client.send(&get("/hello"));
        let answer = client.answer();
        assert_eq!((answer.code, answer.body.as_str()), (200, "hello"));
        assert!(
            answer
                .header("Date")
                .is_some_and(|date| date.ends_with(" GMT"))
        );
        assert_eq!(answer.header("Connection"), None);
    }
}

fn pipelined_requests_are_answered_in_order() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    let body = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\nde\r\n1\r\nf\r\n0\r\n\r\n";
    let unread = "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET ";
    let all = [body, chunked, unread, &get("/target"), &get("/close")].concat();
    client.send(&all);
    let bodies: Vec<String> = (0..5).map(|_| client.answer().body).collect();
    assert_eq!(bodies, ["abc", "def", "hello", "/target []", "bye"]);
    assert!(client.is_closed());
}

fn many_pipelined_requests_are_all_answered() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    client.send(&get("/hello").repeat(500));
    for _ in 0..500 {
        assert_eq!(client.answer().body, "hello");
    }
}

fn a_request_that_comes_byte_by_byte_is_one_request() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    let request = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n0\r\n\r\n";
    for byte in request.chars() {
        client.send(&byte.to_string());
    }
    assert_eq!(client.answer().body, "hello");
    client.send(&get("/hello"));
    assert_eq!(client.answer().body, "hello");
}

fn path_and_query_reach_the_handler_decoded() {
    let fixture = Fixture::start(Limits::default());
    let answer = fixture.ask(&get("http://host/tar%67et?arg=a%20b&arg=c+d"));
    assert_eq!(answer.body, r#"/target [("arg", "a b"), ("arg", "c d")]"#);
}

fn head_is_answered_like_get_without_the_body() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.answer_without_body();
    assert!(answer.has("Content-Length: 5"), "{answer:?}");
    client.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer_without_body().code, 200);
    client.send(&get("/close"));
    assert_eq!(client.answer().body, "bye");
    assert!(client.is_closed());
}

fn http_1_0_closes_unless_it_is_asked_to_stay() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    client.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.answer();
    assert!(answer.has("Connection: keep-alive") && answer.body == "hello");
    client.send("GET /hello HTTP/1.0\r\n\r\n");
    let answer = client.answer();
    assert!(answer.has("Connection: close") && answer.body == "hello");
    assert!(client.is_closed());
    let mut client = fixture.connect();
    client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.header("Transfer-Encoding"), None);
    assert_eq!(client.rest(), "one two three");
}

fn a_connection_ends_after_its_number_of_requests() {
    let fixture = Fixture::start(Limits {
        requests_per_connection: Some(2),
        ..Limits::default()
    });
    let mut client = fixture.connect();
    client.send(&get("/hello").repeat(2));
    assert_eq!(client.answer().header("Connection"), None);
    assert!(client.answer().has("Connection: close"));
    assert!(client.is_closed());
}

fn a_client_that_waits_for_100_continue_gets_it_when_the_body_is_wanted() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    let head = |path: &str, length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    client.send(&head("/echo", 5));
    assert_eq!(client.answer().code, 100);
    client.send("hello");
    let answer = client.answer();
    assert_eq!((answer.code, answer.body.as_str()), (200, "hello"));
    // One that does not wait is not told.
    client.send(&format!("{}hello", head("/echo", 5)));
    assert_eq!(client.answer().code, 200);
    // One that is too large, or not wanted at all, is refused before it is sent.
    client.send(&head("/echo", 2 << 20));
    let answer = client.answer();
    assert_eq!(answer.code, 413);
    assert!(answer.has("Connection: close") && client.is_closed());
    let mut client = fixture.connect();
    client.send(&head("/refuse", 5));
    let answer = client.answer();
    assert_eq!(answer.code, 401);
    assert!(answer.has("Connection: close") && client.is_closed());
}
