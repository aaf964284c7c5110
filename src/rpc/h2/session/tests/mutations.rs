//! Seeded mutations of what two ends say to one another: what `fuzz/` does for hours, for two seconds in every test run,
//! the same every time.

use super::*;

const ROUNDS: usize = 20_000;
/// Memory that a session may hold for a few KiB that have come: blocks that refer to the table may be as large as their
/// limit.
const EVENTS_MOST: usize = 4096;

/// xorshift64*: a test needs the same numbers every time, not good ones.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).expect("31 bits") % bound.max(1)
    }
}

/// Frames that have fooled peers before.
fn splice(numbers: &mut Numbers) -> Vec<u8> {
    let stream = numbers.below(6) as u32;
    let kind = numbers.below(12) as u8;
    let flags = [0, 1, 4, 5, 8, 0x2d][numbers.below(6)];
    let payload: [&[u8]; 8] = [
        &[],
        &[0; 4],
        &[0xff; 5],
        &[0, 4, 0x7f, 0xff, 0xff, 0xff],
        &[0; 8],
        &[0x83, 0x86, 0x84, 0x01, 1, b'a'],
        &[0x88, 0xbe, 0xbf],
        &[0, 0, 0, 0, 1, 7],
    ];
    frame(kind, flags, stream, payload[numbers.below(8)])
}

fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(bytes.len() + 1);
        match numbers.below(6) {
            0 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => {
                let from = numbers.below(at + 1);
                let copied = bytes[from..at].to_vec();
                bytes.splice(at..at, copied);
            }
            _ => drop(bytes.splice(at..at, splice(numbers))),
        }
    }
}

/// What a client and a server say in two calls.
fn conversation() -> (Vec<u8>, Vec<u8>) {
    let mut client = Session::new(Side::Client).expect("client");
    let mut server = Session::new(Side::Server(100)).expect("server");
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let stream = client.request(&headers(&FIELDS)).expect("request");
        client
            .write(stream, b"\0\0\0\0\x04body".to_vec())
            .expect("write");
        client.finish(stream, End::Bare).expect("finish");
        let said = sent(&mut client);
        server.receive(&said).expect("fine");
        to_server.extend(said);
        server
            .respond(stream, &headers(&[(":status", "200")]))
            .expect("respond");
        server
            .write(stream, b"\0\0\0\0\x06answer".to_vec())
            .expect("write");
        let last = End::Trailers(headers(&[("grpc-status", "0")]));
        server.finish(stream, last).expect("finish");
        let said = sent(&mut server);
        client.receive(&said).expect("fine");
        to_client.extend(said);
    }
    (to_server, to_client)
}

/// Takes that in, in two pieces, and does with what comes of it what the real ends do. Whether it went well.
fn take(session: &mut Session, bytes: &[u8], cut: usize) -> bool {
    for piece in [&bytes[..cut], &bytes[cut..]] {
        let received = session.receive(piece);
        let mut told = 0;
        while let Some(event) = session.next_event() {
            told += 1;
            match event {
                Event::Headers {
                    stream,
                    is_first: true,
                    headers,
                } => {
                    let size = |it: &Header| it.name.len() + it.value.len() + 32;
                    assert!(headers.iter().map(size).sum::<usize>() <= HEADERS_MOST);
                    let _ = session.respond(stream, &super::headers(&[(":status", "200")]));
                    let _ = session.write(stream, vec![7; 100]);
                }
                Event::Data { stream, bytes } => drop(session.take(stream, bytes.len())),
                Event::Ended { stream } => drop(session.finish(stream, End::Bare)),
                Event::Closed { stream, .. } => {
                    assert_eq!(session.queued(stream), 0, "what is queued for it is gone");
                }
                Event::Headers { .. }
                | Event::Ready
                | Event::Room { .. }
                | Event::Ping
                | Event::Pong
                | Event::GoAway { .. } => {}
            }
        }
        assert!(told < EVENTS_MOST);
        let mut out = Vec::new();
        let has_said = session.send(&mut out, usize::MAX);
        if received.is_err() || has_said.is_err() || !session.is_alive() {
            return false;
        }
    }
    true
}

#[test]
fn no_mutation_of_a_conversation_disturbs_more_than_its_connection() {
    let mut numbers = Numbers(0x5EED_F00D_CAFE_D00D);
    let (to_server, to_client) = conversation();
    let mut accepted = 0;
    for round in 0..ROUNDS {
        let (side, seed) = match round % 2 {
            0 => (Side::Server(100), &to_server),
            _ => (Side::Client, &to_client),
        };
        let mut session = Session::new(side).expect("session");
        let mut bytes = seed.clone();
        mutate(&mut bytes, &mut numbers);
        if side == Side::Client {
            for _ in 0..2 {
                let stream = session.request(&headers(&FIELDS)).expect("request");
                session.finish(stream, End::Bare).expect("finish");
            }
            sent(&mut session);
        }
        let cut = numbers.below(bytes.len() + 1);
        accepted += usize::from(take(&mut session, &bytes, cut));
    }
    // Otherwise the mutations are too wild to test what is taken.
    assert!(accepted > ROUNDS / 20, "only {accepted} accepted");
    assert!(accepted < ROUNDS * 19 / 20, "{accepted} accepted");
}
