//! Heads that pass, and every way in which one does not.

use super::*;
use crate::http::status::Status;

const GOOD: &str = "POST /execute/x?arg=1 HTTP/1.1\r\nHost: a:7227\r\nContent-Length: 3\r\n\
    X-API-Key:\tkey \r\nExpect: 100-Continue\r\n\r\n";

fn parse(text: &str) -> Parsed {
    parse_head(text.as_bytes(), &Limits::default())
}

fn head(text: &str) -> Head {
    match parse(text) {
        Parsed::Head(head) => *head,
        other => panic!("{other:?} for {text:?}"),
    }
}

fn rejected(text: &str) -> HeadError {
    match parse(text) {
        Parsed::Reject(error) => error,
        other => panic!("{other:?} for {text:?}"),
    }
}

/// A well-formed 1.1 request with these further header lines.
fn with_lines(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

#[test]
fn a_request_is_read_the_same_wherever_it_is_cut() {
    let whole = head(GOOD);
    assert_eq!(whole.method, Method::Post);
    assert_eq!(whole.target.path, "/execute/x");
    assert_eq!(whole.version, Version::Http11);
    assert_eq!(whole.framing, Framing::Length(3));
    assert_eq!(whole.headers.first("x-api-key"), Some("key"));
    assert!(whole.keep_alive && whole.expects_continue);
    assert_eq!(whole.length, GOOD.len());
    for cut in 0..GOOD.len() {
        assert_eq!(parse(&GOOD[..cut]), Parsed::Incomplete, "cut at {cut}");
    }
    let followed = format!("{GOOD}abcGET / HTTP/9.9\n\0");
    assert_eq!(head(&followed), whole);
}

#[test]
fn a_refused_head_stays_refused_and_is_never_accepted_at_an_earlier_cut() {
    for bad in [
        with_lines("Content-Length: 1\r\nContent-Length: 1\r\n"),
        with_lines("A : b\r\n"),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "BREW / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ] {
        let verdict = rejected(&bad);
        for cut in 0..bad.len() {
            match parse(&bad[..cut]) {
                Parsed::Incomplete => {}
                Parsed::Reject(error) => assert_eq!(error, verdict),
                Parsed::Head(head) => panic!("{head:?} at {cut} of {bad:?}"),
            }
        }
    }
}

#[test]
fn ambiguous_framing_is_refused() {
    for (lines, error) in [
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            HeadError::LengthAndEncoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            HeadError::LengthAndEncoding,
        ),
        (
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            HeadError::LengthRepeated,
        ),
        (
            "Content-Length: 1\r\ncontent-length: 2\r\n",
            HeadError::LengthRepeated,
        ),
        ("Content-Length: 1, 1\r\n", HeadError::LengthMalformed),
        ("Content-Length: +1\r\n", HeadError::LengthMalformed),
        ("Content-Length: -1\r\n", HeadError::LengthMalformed),
        ("Content-Length: 0x1\r\n", HeadError::LengthMalformed),
        ("Content-Length: 1 1\r\n", HeadError::LengthMalformed),
        ("Content-Length:\r\n", HeadError::LengthMalformed),
        (
            "Content-Length: 00000000000000000001\r\n",
            HeadError::LengthMalformed,
        ),
        (
            "Content-Length: 18446744073709551616\r\n",
            HeadError::LengthMalformed,
        ),
        ("Transfer-Encoding: gzip\r\n", HeadError::Encoding),
        ("Transfer-Encoding: gzip, chunked\r\n", HeadError::Encoding),
        (
            "Transfer-Encoding: chunked, chunked\r\n",
            HeadError::Encoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            HeadError::Encoding,
        ),
        ("Transfer-Encoding: xchunked\r\n", HeadError::Encoding),
        ("Transfer-Encoding: \"chunked\"\r\n", HeadError::Encoding),
        ("Transfer-Encoding:\r\n", HeadError::Encoding),
        (
            "Transfer-Encoding: \u{b}chunked\r\n",
            HeadError::ControlByte,
        ),
    ] {
        assert_eq!(rejected(&with_lines(lines)), error, "{lines:?}");
        assert_eq!(error.status(), Status::BadRequest);
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(rejected(old), HeadError::EncodingInOldVersion);
}

#[test]
fn plain_framing_is_read() {
    assert_eq!(head(&with_lines("")).framing, Framing::None);
    let chunked = with_lines("transfer-encoding: Chunked\r\n");
    assert_eq!(head(&chunked).framing, Framing::Chunked);
    let huge = with_lines("Content-Length: 9999999999999999999\r\n");
    assert_eq!(
        head(&huge).framing,
        Framing::Length(9_999_999_999_999_999_999)
    );
    let zero = with_lines("Content-Length: 0\r\n");
    assert_eq!(head(&zero).framing, Framing::Length(0));
}

#[test]
fn malformed_lines_are_refused() {
    for (lines, error) in [
        ("A : b\r\n", HeadError::HeaderLine),
        ("A\r\n", HeadError::HeaderLine),
        (": b\r\n", HeadError::HeaderLine),
        ("A\u{e9}: b\r\n", HeadError::HeaderLine),
        ("A: b\r\n c\r\n", HeadError::FoldedHeader),
        ("A: b\nC: d\r\n", HeadError::BareLineFeed),
        ("A: b\0c\r\n", HeadError::ControlByte),
        ("A: b\u{1b}[2J\r\n", HeadError::ControlByte),
        ("Host: b\r\n", HeadError::HostRepeated),
        ("host: a\r\n", HeadError::HostRepeated),
        ("Expect: 200-ok\r\n", HeadError::Expectation),
    ] {
        assert_eq!(rejected(&with_lines(lines)), error, "{lines:?}");
    }
    for (text, error) in [
        ("GET / HTTP/1.1\r\n\r\n", HeadError::HostMissing),
        (
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            HeadError::HostMalformed,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            HeadError::HostMalformed,
        ),
        (
            "GET / HTTP/1.1\r\nHost: me@a\r\n\r\n",
            HeadError::HostMalformed,
        ),
        (
            "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
            HeadError::HostRepeated,
        ),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
        ("GET /\r\nHost: a\r\n\r\n", HeadError::RequestLine),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
        (
            "GET / a HTTP/1.1\r\nHost: a\r\n\r\n",
            HeadError::RequestLine,
        ),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Method),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Method),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Method),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadError::Version),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", HeadError::Version),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", HeadError::Version),
        ("GET / HTTP/11.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
    ] {
        assert_eq!(rejected(text), error, "{text:?}");
    }
    let latin1 = b"GET / HTTP/1.1\r\nHost: a\r\nA: \xe9\r\n\r\n";
    let verdict = parse_head(latin1, &Limits::default());
    assert_eq!(verdict, Parsed::Reject(HeadError::HeaderEncoding));
}

#[test]
fn the_limits_are_exact() {
    let limits = Limits {
        header_count: 2,
        target_bytes: 5,
        ..Limits::default()
    };
    let verdict = |text: &str| parse_head(text.as_bytes(), &limits);
    let two = "GET /2345 HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n";
    assert!(matches!(verdict(two), Parsed::Head(_)));
    let three = "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n\r\n";
    assert_eq!(verdict(three), Parsed::Reject(HeadError::TooManyHeaders));
    let long = "GET /23456 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(verdict(long), Parsed::Reject(HeadError::TargetTooLong));
}

#[test]
fn keeping_the_connection_follows_the_version() {
    for (version, connection, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x\r\nConnection: y, CLOSE\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        assert_eq!(head(&text).keep_alive, kept, "{text:?}");
    }
    assert!(!head("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue);
}
