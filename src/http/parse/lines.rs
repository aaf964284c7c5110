//! Where a request head begins and ends, and that its lines are lines.
//!
//! httparse takes a bare LF as a line's end and skips any number of empty lines before the
//! request line. A proxy in front of us may not, and what two readers split differently can
//! smuggle a request (RFC 9112 sections 2.2 and 11.2). So the lines are checked here, before it.

use super::error::HeadError;
use crate::http::limits::Limits;

/// One empty line is forgiven before the request line (RFC 9112 section 2.2).
const EMPTY_LINE: &[u8] = b"\r\n";
/// Bytes of a request line beside its target: a method of up to 16, two spaces, version, CRLF.
const REQUEST_LINE_FRAME_BYTES: usize = 16 + 2 + 8 + 2;

/// The head within the bytes seen so far: `start..end`, with its closing empty line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Finds the head; `None` while its end has not arrived.
///
/// # Errors
/// As soon as the bytes so far cannot become a head that we would take.
pub(super) fn find_head(bytes: &[u8], limits: &Limits) -> Result<Option<Extent>, HeadError> {
    let start = if bytes.starts_with(EMPTY_LINE) {
        EMPTY_LINE.len()
    } else {
        0
    };
    let within = &bytes[..bytes.len().min(start + limits.head_bytes)];
    let mut line_start = start;
    let mut in_request_line = true;
    let mut at = start;
    while let Some(&byte) = within.get(at) {
        match byte {
            b'\r' => match bytes.get(at + 1) {
                Some(b'\n') if at == line_start => {
                    return end_of_head(start, at, in_request_line, limits);
                }
                Some(b'\n') => {
                    in_request_line = false;
                    at += 1;
                    line_start = at + 1;
                }
                Some(_) => return Err(HeadError::BareCarriageReturn),
                None => return Ok(None),
            },
            b'\n' => return Err(HeadError::BareLineFeed),
            b' ' | b'\t' if at == line_start && !in_request_line => {
                return Err(HeadError::FoldedHeader);
            }
            b'\t' => {}
            0..=0x1f | 0x7f => return Err(HeadError::ControlByte),
            _ => {}
        }
        at += 1;
        if in_request_line && at - start > limits.target_bytes + REQUEST_LINE_FRAME_BYTES {
            return Err(HeadError::TargetTooLong);
        }
    }
    if bytes.len() - start >= limits.head_bytes {
        return Err(HeadError::HeadTooLarge);
    }
    Ok(None)
}

fn end_of_head(
    start: usize,
    last_line: usize,
    in_request_line: bool,
    limits: &Limits,
) -> Result<Option<Extent>, HeadError> {
    let end = last_line + EMPTY_LINE.len();
    if in_request_line {
        // A second empty line before any request.
        return Err(HeadError::RequestLine);
    }
    if end - start > limits.head_bytes {
        return Err(HeadError::HeadTooLarge);
    }
    Ok(Some(Extent { start, end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(bytes: &[u8]) -> Result<Option<(usize, usize)>, HeadError> {
        find_head(bytes, &Limits::default()).map(|found| found.map(|head| (head.start, head.end)))
    }

    #[test]
    fn a_head_ends_at_its_first_empty_line() {
        assert_eq!(
            find(b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest\n\0"),
            Ok(Some((0, 24)))
        );
        assert_eq!(find(b"\r\nGET / HTTP/1.1\r\n\r\n"), Ok(Some((2, 20))));
        for partial in ["", "\r", "\r\n", "GET", "GET / HTTP/1.1\r\nA: b\r\n\r"] {
            assert_eq!(find(partial.as_bytes()), Ok(None), "{partial:?}");
        }
    }

    #[test]
    fn lines_that_readers_split_differently_are_refused() {
        for (bytes, error) in [
            (&b"GET / HTTP/1.1\n"[..], HeadError::BareLineFeed),
            (b"\n", HeadError::BareLineFeed),
            (b"GET / HTTP/1.1\r\nA: b\n\r\n", HeadError::BareLineFeed),
            (b"GET / HTTP/1.1\rA", HeadError::BareCarriageReturn),
            (
                b"GET / HTTP/1.1\r\nA: b\r\r\n",
                HeadError::BareCarriageReturn,
            ),
            (b"GET / HTTP/1.1\r\nA: b\r\n c", HeadError::FoldedHeader),
            (b"GET / HTTP/1.1\r\n\tc", HeadError::FoldedHeader),
            (b"GET /\0", HeadError::ControlByte),
            (b"GET / HTTP/1.1\r\nA: \x07", HeadError::ControlByte),
            (b"GET / HTTP/1.1\r\nA: \x7f", HeadError::ControlByte),
            (b"\x16\x03\x01", HeadError::ControlByte),
            (b"\r\n\r\n", HeadError::RequestLine),
        ] {
            assert_eq!(find(bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_head_over_its_limit_is_refused_before_it_has_all_come() {
        let limits = Limits {
            head_bytes: 40,
            target_bytes: 10,
            ..Limits::default()
        };
        let fits = b"GET / HTTP/1.1\r\nA: 56789012345678901\r\n\r\n";
        assert_eq!(fits.len(), limits.head_bytes);
        assert!(matches!(find_head(fits, &limits), Ok(Some(_))));
        let grown = b"GET / HTTP/1.1\r\nA: 5678901234567890123\r\n\r\n";
        let too_large = Err(HeadError::HeadTooLarge);
        assert_eq!(find_head(grown, &limits), too_large);
        assert_eq!(
            find_head(&[b'A'; 41], &limits),
            Err(HeadError::TargetTooLong)
        );
        let one_header = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 30]].concat();
        assert_eq!(find_head(&one_header[..39], &limits), Ok(None));
        assert_eq!(find_head(&one_header[..40], &limits), too_large);
        let long = [b"GET /".as_slice(), &[b'a'; 40]].concat();
        assert_eq!(
            find_head(&long[..39], &limits),
            Err(HeadError::TargetTooLong)
        );
    }
}
