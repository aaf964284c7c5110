//! The cases of the public h2spec that apply to a server that answers POST, named by their section of RFC 9113, or of
//! RFC 7541 for HPACK.

use super::*;

mod fields;
mod frames;
mod states;
mod windows;

const PRIORITY: u8 = 2;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const UNKNOWN: u8 = 0x42;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;
/// Of a request that is complete.
const ALL: u8 = END_STREAM | END_HEADERS;

/// Error codes (RFC 9113, section 7).
const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const COMPRESSION: u32 = 9;

/// `:method: POST`, `:scheme: http`, `:path: /`, `:authority: a`.
const REQUEST: [u8; 6] = [0x83, 0x86, 0x84, 0x01, 1, b'a'];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing is wrong with it, and the next request is served.
    Fine,
    /// An error of stream 1 alone.
    Stream(u32),
    /// An error of the connection.
    Connection(u32),
}

fn request(stream: u32) -> Vec<u8> {
    frame(HEADERS, ALL, stream, &REQUEST)
}

fn request_with(stream: u32, fields: &[u8]) -> Vec<u8> {
    frame(HEADERS, ALL, stream, &[&REQUEST[..], fields].concat())
}

fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &REQUEST)
}

fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

fn settings(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &setting(id, value))
}

fn increment(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn padded(kind: u8, flags: u8, padding: u8, payload: &[u8]) -> Vec<u8> {
    frame(kind, flags | PADDED, 1, &[&[padding], payload].concat())
}

/// Type, stream and payload of the frames in that.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        frames.push((head[3], stream, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    frames
}

fn code_at(payload: &[u8], at: usize) -> u32 {
    let code = payload[at..].first_chunk().copied();
    u32::from_be_bytes(code.expect("a code"))
}

/// A server to which a client has begun to speak.
fn begun() -> Session {
    let mut server = Session::new(Side::Server(10)).expect("server");
    let first = [
        MAGIC,
        &frame(SETTINGS, 0, 0, &[]),
        &frame(SETTINGS, 1, 0, &[]),
    ];
    server.receive(&first.concat()).expect("a good beginning");
    sent(&mut server);
    server
}

fn outcome(server: &mut Session, bytes: &[u8]) -> Outcome {
    let received = server.receive(bytes);
    let sent = frames(&sent(server));
    let goaway = sent.iter().find(|it| it.0 == GOAWAY);
    if let Some((_, _, payload)) = goaway {
        assert!(!server.is_alive(), "it goes on after GOAWAY");
        return Outcome::Connection(code_at(payload, 4));
    }
    assert_eq!(received, Ok(()), "the connection ends without a word");
    match sent.iter().find(|it| it.0 == RST && it.1 == 1) {
        Some((_, _, payload)) => Outcome::Stream(code_at(payload, 0)),
        None => Outcome::Fine,
    }
}

#[track_caller]
fn each(cases: Vec<(&str, Vec<u8>, Outcome)>) {
    let mut wrong = Vec::new();
    for (section, bytes, expected) in cases {
        let mut server = begun();
        let found = outcome(&mut server, &bytes);
        if found != expected {
            wrong.push(format!("{section}: {found:?} instead of {expected:?}"));
        }
        // Only a connection's error ends more than its stream.
        if !matches!(found, Outcome::Connection(_)) {
            events(&mut server);
            assert_eq!(
                outcome(&mut server, &request(99)),
                Outcome::Fine,
                "{section}"
            );
            let is_served = events(&mut server)
                .iter()
                .any(|event| matches!(event, Event::Headers { stream: 99, .. }));
            assert!(is_served, "{section}: the next request is not served");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn answers_keep_to_the_windows_that_are_open() {
    let mut server = begun();
    let first = [settings(4, 1), settings(4, 3), request(1)].concat();
    server.receive(&first).expect("fine");
    server
        .respond(1, &headers(&[(":status", "200")]))
        .expect("respond");
    server.write(1, b"seven b".to_vec()).expect("write");
    server.finish(1, End::Bare).expect("finish");
    let body = |server: &mut Session| -> Vec<u8> {
        let frames = frames(&sent(server)).into_iter();
        frames
            .filter(|it| it.0 == DATA)
            .flat_map(|it| it.2)
            .collect()
    };
    assert_eq!(body(&mut server), b"sev", "6.5.3: the last value holds");
    server.receive(&settings(4, 1)).expect("fine");
    server.receive(&increment(1, 2)).expect("fine");
    assert_eq!(
        body(&mut server),
        b"",
        "6.9.2: the window was below nothing"
    );
    server.receive(&increment(1, 2)).expect("fine");
    assert_eq!(body(&mut server), b"en", "6.9.2: and is open again");
    server.receive(&settings(4, 100)).expect("fine");
    assert_eq!(body(&mut server), b" b", "6.9.2: SETTINGS open it, too");
}

#[test]
fn pings_and_settings_are_answered_once() {
    let mut server = begun();
    let bytes = [frame(PING, 0, 0, b"12345678"), settings(3, 7)].concat();
    server.receive(&bytes).expect("fine");
    let answers = frames(&sent(&mut server));
    assert_eq!(answers.len(), 2);
    assert!(answers.contains(&(PING, 0, b"12345678".to_vec())), "6.7");
    assert!(answers.contains(&(SETTINGS, 0, Vec::new())), "6.5.3");
    server
        .receive(&frame(PING, 1, 0, b"12345678"))
        .expect("fine");
    assert!(sent(&mut server).is_empty(), "6.7: an answer to an answer");
}
