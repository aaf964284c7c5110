//! Seeded mutations of valid requests against the pure readers: what `fuzz/` does for hours,
//! for two seconds in every test run, the same every time.

use super::{Chunked, Framing, Parsed, parse_head};
use crate::http::limits::Limits;

const ROUNDS: usize = 120_000;

const SEEDS: [&str; 6] = [
    "GET /health HTTP/1.1\r\nHost: localhost:7227\r\n\r\n",
    "POST /execute/hello?arg=a%20b&arg=c HTTP/1.1\r\nHost: a\r\nX-API-Key: k\r\nContent-Length: 17\r\n\r\n{\"args\":[\"one\"]}\n",
    "PUT /deploy/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\n",
    "GET http://host/executions?limit=5 HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n",
    "DELETE /nodes HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nAccept: */*\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// Pieces that have fooled parsers before.
const SPLICES: [&str; 22] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    "\r\n\r\n",
    "\r\n ",
    "%",
    "%zz",
    "#",
    "Content-Length: 5\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Host: b\r\n",
    " HTTP/1.1\r\n",
    "ffffffffffffffff\r\n",
    "0\r\n\r\n",
    "\u{80}",
];

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

fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(bytes.len() + 1);
        match numbers.below(6) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).expect("a byte"),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => {
                let from = numbers.below(at + 1);
                let copied = bytes[from..at].to_vec();
                bytes.splice(at..at, copied);
            }
            _ => {
                let splice = SPLICES[numbers.below(SPLICES.len())];
                bytes.splice(at..at, splice.bytes());
            }
        }
    }
}

/// The body length that the head's own bytes allow, worked out the simple way: by looking at
/// every line that begins like a framing header.
fn lines_named<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    head.split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .filter(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim_matches([' ', '\t']))
        .collect()
}

fn check(bytes: &[u8], limits: &Limits) -> bool {
    let Parsed::Head(head) = parse_head(bytes, limits) else {
        return false;
    };
    assert!(head.length <= bytes.len() && head.length <= limits.head_bytes + 2);
    let text = std::str::from_utf8(&bytes[..head.length]).expect("accepted heads are text");
    assert!(text.ends_with("\r\n\r\n"));
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
    let text = text.trim_start_matches("\r\n");
    let lengths = lines_named(text, "content-length");
    let encodings = lines_named(text, "transfer-encoding");
    match head.framing {
        Framing::None => assert!(lengths.is_empty() && encodings.is_empty(), "{text:?}"),
        Framing::Length(length) => {
            assert!(encodings.is_empty() && lengths.len() == 1, "{text:?}");
            assert!(
                lengths[0].bytes().all(|byte| byte.is_ascii_digit()),
                "{text:?}"
            );
            assert_eq!(lengths[0].parse(), Ok(length), "{text:?}");
        }
        Framing::Chunked => {
            assert!(lengths.is_empty() && encodings.len() == 1, "{text:?}");
            assert!(encodings[0].eq_ignore_ascii_case("chunked"), "{text:?}");
            decode(&bytes[head.length..]);
        }
    }
    true
}

fn decode(mut rest: &[u8]) {
    let mut decoder = Chunked::default();
    while !rest.is_empty() {
        let Ok(progress) = decoder.decode(rest) else {
            return;
        };
        assert!(progress.data.end <= progress.consumed && progress.consumed <= rest.len());
        assert!(
            progress.consumed > 0 || progress.done,
            "a decoder that stands still"
        );
        if progress.done {
            return;
        }
        rest = &rest[progress.consumed..];
    }
}

#[test]
fn no_mutation_of_a_request_panics_or_gets_a_length_that_the_rules_forbid() {
    let mut numbers = Numbers(0x5EED_F00D_CAFE_D00D);
    let limits = Limits::default();
    let mut accepted = 0usize;
    for round in 0..ROUNDS {
        let mut bytes = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        mutate(&mut bytes, &mut numbers);
        accepted += usize::from(check(&bytes, &limits));
        decode(&bytes);
    }
    // Otherwise the mutations are too wild to test the rules for what is taken.
    assert!(accepted > ROUNDS / 20, "only {accepted} accepted");
    assert!(accepted < ROUNDS / 2, "{accepted} accepted");
}
