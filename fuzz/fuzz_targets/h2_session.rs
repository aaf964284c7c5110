//! The two ends of an HTTP/2 connection, with what they do with streams, against any bytes of the other one.
//!
//! Beside "does not panic" and what the sanitizer sees of nghttp2: no more is queued or held than the bounds say, and
//! what is read of metadata and messages is what was there.

#![no_main]

use libfuzzer_sys::fuzz_target;

/// The files under test, without the rest of Flux.
#[path = "../../src/base"]
#[expect(dead_code, reason = "a part of the files is for the rest of Flux")]
mod base {
    pub mod cancel;
    pub mod causes;
    pub mod threads;
}
#[path = "../../src/rpc"]
#[expect(
    dead_code,
    unused_imports,
    reason = "a part of the files is for the rest of Flux"
)]
mod rpc {
    pub mod limits;
    pub mod address;
    mod grpc {
        pub mod framing;
        pub mod metadata;
        pub mod status;
    }
    mod h2 {
        pub mod calls;
        mod credit;
        mod deadlines;
        pub mod dial;
        pub mod keepalive;
        pub mod link;
        pub mod requests;
        pub mod session;
        pub mod transport;
    }

    /// What the two ends are, where `pub(in crate::rpc)` reaches.
    pub mod ends {
        use super::h2::calls::{Answers, Arrived, Calls, NewCall};
        use super::h2::link::Streams;
        use super::h2::requests::Requests;
        use super::h2::session::{HEADERS_MOST, Session, Side};
        use super::grpc::metadata;
        use std::time::{Duration, Instant};

        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        const CALLS: i32 = 3;

        /// Without an address of a link, so that whole requests are taken and become no jobs.
        pub fn server(bytes: &[u8], cut: usize) {
            let mut session = Session::new(Side::Server(16)).expect("a server");
            let mut requests = Requests::new(|path| match path {
                "/m" => Some(true),
                "/" => Some(false),
                _ => None,
            });
            session.receive(PREFACE).expect("a good beginning");
            feed(&mut session, &mut requests, bytes, cut);
            requests.over("the end");
            assert!(requests.is_idle());
        }

        pub fn client(bytes: &[u8], cut: usize) {
            let mut session = Session::new(Side::Client).expect("a client");
            let now = Instant::now();
            let mut calls = Calls::new(Box::new(|| true), now + Duration::from_secs(60));
            let told: std::sync::Arc<std::sync::atomic::AtomicI32> = Default::default();
            for (number, answers) in [Answers::One, Answers::Many, Answers::HeldBack]
                .into_iter()
                .enumerate()
            {
                let told = std::sync::Arc::clone(&told);
                let mut is_over = false;
                let call = NewCall {
                    headers: metadata::request("http", "a", "/", None),
                    first: vec![0; 5],
                    is_whole: number != 1,
                    deadline: Some(now + Duration::from_secs(60)),
                    answers,
                    deliver: Box::new(move |arrived| {
                        assert!(!is_over, "something after the end");
                        if let Arrived::Over(_) = arrived {
                            is_over = true;
                            told.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                        true
                    }),
                };
                calls.start(&mut session, call).expect("a call");
            }
            feed(&mut session, &mut calls, bytes, cut);
            calls.over("the end");
            let told = told.load(std::sync::atomic::Ordering::SeqCst);
            assert_eq!(told, CALLS, "each call is told of its end once");
        }

        fn feed<S: Streams>(session: &mut Session, streams: &mut S, bytes: &[u8], cut: usize) {
            let mut out = Vec::new();
            for piece in [&bytes[..cut], &bytes[cut..]] {
                let received = session.receive(piece);
                while let Some(event) = session.next_event() {
                    if let super::h2::session::Event::Headers { headers, .. } = &event {
                        let size = |it: &super::h2::session::Header| it.name.len() + it.value.len() + 32;
                        assert!(headers.iter().map(size).sum::<usize>() <= HEADERS_MOST);
                        // Whatever they are, they can be read.
                        let _ = metadata::read_request(headers);
                        let _ = metadata::check_response(headers);
                        let _ = metadata::read_status(headers);
                    }
                    streams.handle(session, event);
                }
                streams.due(session, Instant::now());
                out.clear();
                let sent = session.send(&mut out, 1 << 20);
                if received.is_err() || sent.is_err() || !session.is_alive() {
                    return;
                }
            }
        }
    }

    /// Messages come out as they went in, wherever their bytes are cut.
    pub fn assemble(bytes: &[u8], cut: usize) {
        use grpc::framing::Assembler;
        let all = |pieces: &[&[u8]]| {
            let mut assembler = Assembler::new(256, grpc::status::Code::Internal);
            let mut messages = Vec::new();
            for piece in pieces {
                let mut rest = *piece;
                loop {
                    match assembler.take(&mut rest) {
                        Ok(Some(message)) => messages.push(message),
                        Ok(None) => break,
                        Err(status) => return (messages, Some(status.code)),
                    }
                    assert!(assembler.held() <= 256);
                }
            }
            (messages, None)
        };
        assert_eq!(all(&[bytes]), all(&[&bytes[..cut], &bytes[cut..]]));
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&[how, at], bytes)) = input.split_first_chunk() else {
        return;
    };
    let cut = usize::from(at).min(bytes.len());
    match how % 3 {
        0 => rpc::ends::server(bytes, cut),
        1 => rpc::ends::client(bytes, cut),
        _ => rpc::assemble(bytes, cut),
    }
});
