//! The pure readers of HTTP requests against any bytes.
//!
//! Beside "does not panic": no verdict depends on how the bytes were cut, an accepted head has
//! only proper lines, and its body is framed in one way.

#![no_main]

use libfuzzer_sys::fuzz_target;

/// The files under test, without the rest of Flux and what that links to.
#[path = "../../src/http"]
#[expect(
    dead_code,
    unused_imports,
    reason = "a part of the files is for the server alone"
)]
mod http {
    pub mod limits;
    pub mod method;
    pub mod parse;
    pub mod status;
}

use http::limits::Limits;
use http::parse::{ChunkError, Chunked, Framing, Head, Parsed, parse_head};

fuzz_target!(|bytes: &[u8]| {
    // Small limits, so that the fuzzer finds them.
    let limits = Limits {
        head_bytes: 512,
        header_count: 8,
        target_bytes: 128,
        ..Limits::default()
    };
    let whole = parse_head(bytes, &limits);
    for cut in [
        bytes.len() / 3,
        bytes.len() / 2,
        bytes.len().saturating_sub(1),
    ] {
        agrees_with(&parse_head(&bytes[..cut], &limits), &whole);
    }
    if let Parsed::Head(head) = &whole {
        is_proper(bytes, head, &limits);
    }
    let at_once = decode(&[bytes]);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert_eq!(decode(&[first, second]), at_once);
});

fn agrees_with(earlier: &Parsed, whole: &Parsed) {
    match earlier {
        Parsed::Incomplete => {}
        Parsed::Head(_) => assert_eq!(earlier, whole),
        // More bytes may show another fault first, but never mend one.
        Parsed::Reject(_) => assert!(matches!(whole, Parsed::Reject(_))),
    }
}

fn is_proper(bytes: &[u8], head: &Head, limits: &Limits) {
    assert!(head.length <= bytes.len() && head.length <= limits.head_bytes + 2);
    let text = std::str::from_utf8(&bytes[..head.length]).expect("accepted heads are text");
    assert!(text.ends_with("\r\n\r\n"));
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
    assert!(head.headers.iter().count() <= limits.header_count);
    let lengths = head.headers.all("content-length").count();
    let encodings = head.headers.all("transfer-encoding").count();
    let framed = match head.framing {
        Framing::None => (0, 0),
        Framing::Length(_) => (1, 0),
        Framing::Chunked => (0, 1),
    };
    assert_eq!((lengths, encodings), framed);
}

/// The body, and the bytes it took when it has ended.
fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, Option<usize>), ChunkError> {
    let mut decoder = Chunked::default();
    let (mut body, mut taken) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let progress = decoder.decode(rest)?;
            assert!(progress.consumed > 0);
            body.extend_from_slice(&rest[progress.data]);
            taken += progress.consumed;
            if progress.done {
                return Ok((body, Some(taken)));
            }
            rest = &rest[progress.consumed..];
        }
    }
    Ok((body, None))
}
