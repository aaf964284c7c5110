//! Two sessions in memory, and peers that write their frames by hand.

use super::*;

mod conformance;
mod floods;
mod mutations;

const FIELDS: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/flux.AgentService/Drain"),
    (":authority", "agent"),
];

struct Pair {
    client: Session,
    server: Session,
}

impl Pair {
    fn new() -> Pair {
        let mut pair = Pair {
            client: Session::new(Side::Client).expect("client"),
            server: Session::new(Side::Server(100)).expect("server"),
        };
        pair.exchange();
        assert_eq!(pair.client.next_event(), Some(Event::Ready));
        assert_eq!(pair.server.next_event(), Some(Event::Ready));
        pair
    }

    /// Until neither has anything to say.
    fn exchange(&mut self) {
        loop {
            let to_server = sent(&mut self.client);
            let to_client = sent(&mut self.server);
            if to_server.is_empty() && to_client.is_empty() {
                return;
            }
            self.server.receive(&to_server).expect("fine");
            self.client.receive(&to_client).expect("fine");
        }
    }
}

fn sent(session: &mut Session) -> Vec<u8> {
    let mut bytes = Vec::new();
    while session.send(&mut bytes, usize::MAX).expect("memory") {}
    bytes
}

fn headers(fields: &[(&str, &str)]) -> Vec<Header> {
    let header = |(name, value): &(&str, &str)| Header {
        name: name.as_bytes().to_vec(),
        value: value.as_bytes().to_vec(),
    };
    fields.iter().map(header).collect()
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.next_event()).collect()
}

fn data(events: &[Event]) -> usize {
    let lengths = events.iter().map(|event| match event {
        Event::Data { bytes, .. } => bytes.len(),
        _ => 0,
    });
    lengths.sum()
}

#[test]
fn a_request_and_its_answer_go_there_and_back() {
    let mut pair = Pair::new();
    let stream = pair.client.request(&headers(&FIELDS)).expect("request");
    pair.client
        .write(stream, b"question".to_vec())
        .expect("write");
    pair.client.finish(stream, End::Bare).expect("finish");
    pair.exchange();
    let expected = [
        Event::Headers {
            stream,
            headers: headers(&FIELDS),
            is_first: true,
        },
        Event::Data {
            stream,
            bytes: b"question".to_vec(),
        },
        Event::Ended { stream },
    ];
    assert_eq!(events(&mut pair.server), expected);
    let (first, last) = (
        headers(&[(":status", "200")]),
        headers(&[("grpc-status", "0")]),
    );
    pair.server.respond(stream, &first).expect("respond");
    pair.server
        .write(stream, b"answer".to_vec())
        .expect("write");
    pair.server
        .finish(stream, End::Trailers(last.clone()))
        .expect("finish");
    pair.exchange();
    let expected = [
        Event::Headers {
            stream,
            headers: first,
            is_first: true,
        },
        Event::Data {
            stream,
            bytes: b"answer".to_vec(),
        },
        Event::Headers {
            stream,
            headers: last,
            is_first: false,
        },
        Event::Ended { stream },
        Event::Closed { stream, code: 0 },
    ];
    assert_eq!(events(&mut pair.client), expected);
    assert_eq!(
        events(&mut pair.server),
        [Event::Closed { stream, code: 0 }]
    );
}

#[test]
fn no_more_of_a_body_is_under_way_than_is_taken() {
    let mut pair = Pair::new();
    let stream = pair.client.request(&headers(&FIELDS)).expect("request");
    let window = STREAM_WINDOW as usize;
    pair.client
        .write(stream, vec![7; 3 * window])
        .expect("write");
    pair.exchange();
    assert_eq!(data(&events(&mut pair.server)), window);
    assert_eq!(pair.client.queued(stream), 2 * window);
    pair.server.take(stream, window).expect("take");
    pair.exchange();
    assert_eq!(data(&events(&mut pair.server)), window);
}

#[test]
fn a_stream_whose_reader_stands_still_holds_up_no_other() {
    let mut pair = Pair::new();
    for _ in 0..40 {
        let stalled = pair.client.request(&headers(&FIELDS)).expect("request");
        pair.client
            .write(stalled, vec![7; STREAM_WINDOW as usize])
            .expect("write");
        pair.exchange();
    }
    events(&mut pair.server);
    let stream = pair.client.request(&headers(&FIELDS)).expect("request");
    pair.client.write(stream, vec![7; 100_000]).expect("write");
    pair.exchange();
    assert_eq!(data(&events(&mut pair.server)), 100_000);
}

#[test]
fn who_waits_for_room_is_told_when_there_is_some() {
    let mut pair = Pair::new();
    let stream = pair.client.request(&headers(&FIELDS)).expect("request");
    pair.client
        .write(stream, vec![7; 3 * STREAM_WINDOW as usize])
        .expect("write");
    pair.client.await_room(stream);
    pair.exchange();
    assert!(!events(&mut pair.client).contains(&Event::Room { stream }));
    for _ in 0..2 {
        pair.server
            .take(stream, STREAM_WINDOW as usize)
            .expect("take");
        pair.exchange();
    }
    assert!(events(&mut pair.client).contains(&Event::Room { stream }));
}

#[test]
fn a_reset_is_told_with_its_code() {
    let mut pair = Pair::new();
    let stream = pair.client.request(&headers(&FIELDS)).expect("request");
    pair.exchange();
    events(&mut pair.server);
    pair.client.reset(stream, Code::Cancel).expect("reset");
    pair.exchange();
    assert_eq!(
        events(&mut pair.server),
        [Event::Closed { stream, code: 8 }]
    );
    assert_eq!(
        events(&mut pair.client),
        [Event::Closed { stream, code: 8 }]
    );
    // Nothing is left that could be written to.
    pair.server
        .write(stream, b"late".to_vec())
        .expect("ignored");
    pair.exchange();
}

#[test]
fn after_goodbye_no_request_is_taken_and_those_there_are_end_well() {
    let mut pair = Pair::new();
    let stream = pair.client.request(&headers(&FIELDS)).expect("request");
    pair.exchange();
    pair.server.announce_end().expect("notice");
    pair.server.go_away(Code::None).expect("goodbye");
    pair.exchange();
    assert!(!pair.client.takes_requests());
    assert!(events(&mut pair.client).contains(&Event::GoAway { code: 0 }));
    pair.server
        .respond_without_body(stream, &headers(&[(":status", "200")]))
        .expect("respond");
    pair.client.finish(stream, End::Bare).expect("finish");
    pair.exchange();
    assert!(events(&mut pair.client).contains(&Event::Closed { stream, code: 0 }));
    assert!(!pair.client.is_alive());
    assert!(!pair.server.is_alive());
}

#[test]
fn pings_are_answered() {
    let mut pair = Pair::new();
    pair.client.ping().expect("ping");
    pair.exchange();
    assert_eq!(events(&mut pair.server), [Event::Ping]);
    assert_eq!(events(&mut pair.client), [Event::Pong]);
}

#[test]
fn a_header_block_over_the_limit_ends_its_stream_and_too_many_end_the_connection() {
    let mut pair = Pair::new();
    let mut fields = headers(&FIELDS);
    fields.push(Header {
        name: b"x-long".to_vec(),
        value: vec![b'x'; HEADERS_MOST],
    });
    let stream = pair.client.request(&fields).expect("request");
    pair.exchange();
    let told = events(&mut pair.server);
    assert!(
        !told
            .iter()
            .any(|event| matches!(event, Event::Headers { .. })),
        "{told:?}"
    );
    assert!(events(&mut pair.client).iter().any(|event| {
        matches!(event, Event::Closed { stream: closed, .. } if *closed == stream)
    }));
    let ends = (0..100).position(|_| {
        pair.client.request(&fields).expect("request");
        let bytes = sent(&mut pair.client);
        let received = pair.server.receive(&bytes);
        sent(&mut pair.server);
        received.is_err()
    });
    assert!(ends.is_some_and(|count| count < 20), "{ends:?}");
}

/// A frame by hand (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

const MAGIC: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH: u8 = 5;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// What a server makes of a client that begins well and goes on with that.
fn server_after(frames: &[u8]) -> Result<(), SessionError> {
    let mut server = Session::new(Side::Server(100)).expect("server");
    server
        .receive(&[MAGIC, &frame(SETTINGS, 0, 0, &[])].concat())
        .expect("a good beginning");
    sent(&mut server);
    let result = server.receive(frames);
    // What ends the connection may have to be sent first.
    let ends = result.is_err() || {
        sent(&mut server);
        !server.is_alive()
    };
    if ends {
        Err(result.err().unwrap_or_else(|| SessionError {
            message: String::new(),
        }))
    } else {
        Ok(())
    }
}

#[test]
fn what_breaks_the_protocol_ends_the_connection() {
    // HPACK: the static table's `:method: POST`, `:scheme: http`, `:path: /`.
    let block = [0x83, 0x86, 0x84];
    for (frames, section) in [
        (frame(DATA, 0, 0, b"x"), "6.1: DATA on stream 0"),
        (frame(DATA, 0, 1, b"x"), "5.1: DATA on an idle stream"),
        (
            frame(HEADERS, 4, 2, &block),
            "5.1.1: a stream with an even number",
        ),
        (frame(HEADERS, 4, 0, &block), "6.2: HEADERS on stream 0"),
        (
            [frame(HEADERS, 0, 1, &block), frame(PING, 0, 0, &[0; 8])].concat(),
            "6.10: something between HEADERS and CONTINUATION",
        ),
        (
            frame(CONTINUATION, 4, 1, &block),
            "6.10: CONTINUATION after nothing",
        ),
        (frame(SETTINGS, 0, 1, &[]), "6.5: SETTINGS on a stream"),
        (
            frame(SETTINGS, 0, 0, &[0; 5]),
            "6.5: SETTINGS of an odd length",
        ),
        (
            frame(SETTINGS, 1, 0, &[0; 6]),
            "6.5: an acknowledgement with a payload",
        ),
        (
            frame(PUSH, 4, 1, &[0, 0, 0, 2]),
            "8.4: PUSH_PROMISE from a client",
        ),
        (frame(PING, 0, 0, &[0; 7]), "6.7: PING of seven bytes"),
        (frame(PING, 0, 1, &[0; 8]), "6.7: PING on a stream"),
        (
            frame(RST, 0, 1, &[0; 4]),
            "6.4: RST_STREAM of an idle stream",
        ),
        (frame(8, 0, 0, &[0; 4]), "6.9: WINDOW_UPDATE of nothing"),
        (
            frame(HEADERS, 4, 1, &[0xff; 5]),
            "4.3: a block that is no HPACK",
        ),
        (
            frame(DATA, 0, 1, &[0; 16_385]),
            "4.2: a frame over the limit",
        ),
    ] {
        assert!(server_after(&frames).is_err(), "{section}");
    }
    let fine = frame(HEADERS, 5, 1, &[0x83, 0x86, 0x84, 0x01, 1, b'a']);
    assert_eq!(server_after(&fine), Ok(()), "and a request does not");
    let mut server = Session::new(Side::Server(100)).expect("server");
    assert!(
        server.receive(b"GET / HTTP/1.1\r\n\r\n").is_err(),
        "3.4: another protocol"
    );
}
