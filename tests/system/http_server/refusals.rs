//! Requests that are refused, and what a refusal costs.

use flux::http::Limits;

use super::support::{Fixture, get};
use crate::runner::tests;

tests![
    what_cannot_be_read_in_one_way_is_refused_with_the_rule_and_closed,
    heads_over_their_limits_are_told_which,
    a_declared_length_allocates_nothing,
    a_body_beyond_the_handlers_limit_is_refused_while_it_comes,
    a_broken_chunk_is_a_400_and_closes,
    a_small_unread_body_keeps_the_connection_and_a_large_one_does_not,
];

fn what_cannot_be_read_in_one_way_is_refused_with_the_rule_and_closed() {
    let fixture = Fixture::start(Limits::default());
    for (request, code) in [
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: b\0\r\n\r\n", 400),
        ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\0\u{a5}\u{1}\0\0", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
    ] {
        // Followed by a request that would be served if the refused one did not close.
        let mut client = fixture.connect();
        client.send(&format!("{request}{}", get("/hello")));
        let answer = client.answer();
        assert_eq!(answer.code, code, "{request:?}");
        answer.closing_error();
        assert!(client.is_closed(), "{request:?}");
    }
}

fn heads_over_their_limits_are_told_which() {
    let fixture = Fixture::start(Limits::default());
    let headers = |count: usize, value: &str| format!("A: {value}\r\n").repeat(count);
    let with = |headers: &str| format!("GET /hello HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    for (request, code) in [
        (with(&headers(63, "b")), 200),
        (with(&headers(64, "b")), 431),
        (with(&headers(4, &"b".repeat(5_000))), 431),
        (get(&format!("/hello?{}", "a".repeat(8_000))), 200),
        (get(&format!("/hello?{}", "a".repeat(9_000))), 414),
        (get(&"/".repeat(20_000)), 414),
    ] {
        assert_eq!(fixture.ask(&request).code, code, "{} bytes", request.len());
    }
    // Also when it never ends.
    let mut client = fixture.connect();
    client.send("GET / HTTP/1.1\r\nA: ");
    client.send(&"b".repeat(17_000));
    assert_eq!(client.answer().closing_error(), "request_head_too_large");
}

fn a_declared_length_allocates_nothing() {
    let fixture = Fixture::start(Limits::default());
    let huge = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 70368744177664\r\n\r\n")
    };
    assert_eq!(fixture.ask(&huge("/echo")).code, 413);
    assert_eq!(fixture.ask(&huge("/refuse")).code, 401);
    let mut client = fixture.connect();
    client.send(&huge("/greedy"));
    client.send("some");
    client
        .stream
        .shutdown(std::net::Shutdown::Write)
        .expect("half-close");
    assert_eq!(client.answer().code, 400);
    assert_eq!(fixture.ask(&get("/hello")).body, "hello");
}

fn a_body_beyond_the_handlers_limit_is_refused_while_it_comes() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    for _ in 0..17 {
        client.send(&chunk);
    }
    let answer = client.answer();
    assert_eq!(answer.code, 413);
    assert!(answer.has("Connection: close"));
}

fn a_broken_chunk_is_a_400_and_closes() {
    let fixture = Fixture::start(Limits::default());
    for body in [
        "x\r\n",
        "5\r\nhelloX",
        "1;\n",
        "ffffffffffffffff\r\n",
        "0\r\nno colon\r\n",
    ] {
        let mut client = fixture.connect();
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(body);
        let answer = client.answer();
        assert_eq!(answer.code, 400, "{body:?}");
        assert!(answer.has("Connection: close"));
    }
}

fn a_small_unread_body_keeps_the_connection_and_a_large_one_does_not() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    let post = |length: usize| {
        format!("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
    };
    client.send(&format!(
        "{}{}{}",
        post(1_000),
        "b".repeat(1_000),
        get("/hello")
    ));
    assert_eq!(client.answer().header("Connection"), None);
    assert_eq!(client.answer().body, "hello");
    // The client sends all of it before it listens, and still hears the answer.
    let mut client = fixture.connect();
    client.send(&post(3 << 20));
    client.send(&"b".repeat(3 << 20));
    let answer = client.answer();
    assert_eq!(answer.code, 401);
    assert!(answer.has("Connection: close") && client.is_closed());
}
