//! The chunked coding (RFC 9112 section 7.1), decoded a piece at a time.
//!
//! Extensions are checked and ignored, trailers checked and dropped. Both are bounded, because
//! neither counts as body: a client could otherwise send them for ever.

use std::ops::Range;

/// 15 hexadecimal digits: a chunk of up to 2^60 - 1 bytes, and no overflow anywhere.
const SIZE_DIGITS_MAX: u8 = 15;
/// Bytes of chunk extensions in one whole body. Nobody uses them.
const EXTENSION_BYTES_MAX: usize = 4 * 1024;
/// Bytes of the trailer section.
const TRAILER_BYTES_MAX: usize = 4 * 1024;

/// A body that breaks the coding, or its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A chunk size that is not 1 to 15 hexadecimal digits.
    #[error("a chunk size is malformed")]
    Size,
    /// A control byte, or a line end that is not CRLF.
    #[error("a chunk's line is malformed")]
    Line,
    /// A chunk not followed by CRLF.
    #[error("a chunk does not end where its size says")]
    End,
    /// Too many bytes of extensions.
    #[error("the chunk extensions are too long")]
    Extensions,
    /// A trailer that is no header line.
    #[error("a trailer is malformed")]
    Trailer,
    /// Too many bytes of trailers.
    #[error("the trailers are too long")]
    TrailersTooLong,
}

/// What one step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Input bytes that are done with, the data included.
    pub consumed: usize,
    /// Where in the input body bytes lie; may be empty.
    pub data: Range<usize>,
    /// Whether the body has ended. What follows `consumed` is the next request's.
    pub done: bool,
}

/// A decoder; one per body.
#[derive(Debug, Clone)]
pub(crate) struct Chunked {
    state: State,
    extension_bytes: usize,
    trailer_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataEnd,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastEnd,
    Done,
}

impl Default for Chunked {
    fn default() -> Chunked {
        Chunked {
            state: State::Size { size: 0, digits: 0 },
            extension_bytes: 0,
            trailer_bytes: 0,
        }
    }
}

impl Chunked {
    /// Reads on in `input`: up to the next piece of data, the end of the body, or the end of
    /// `input`. Call it again with what follows `consumed`.
    ///
    /// # Errors
    /// [`ChunkError`]; the decoder is of no use after it.
    pub(crate) fn decode(&mut self, input: &[u8]) -> Result<Progress, ChunkError> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            if let State::Data { left } = self.state {
                let available = input.len() - at;
                let taken = usize::try_from(left).map_or(available, |left| left.min(available));
                self.state = match left - taken as u64 {
                    0 => State::DataReturn,
                    left => State::Data { left },
                };
                return Ok(Progress {
                    consumed: at + taken,
                    data: at..at + taken,
                    done: false,
                });
            }
            self.state = self.after(input[at])?;
            at += 1;
        }
        Ok(Progress {
            consumed: at,
            data: at..at,
            done: self.state == State::Done,
        })
    }

    fn after(&mut self, byte: u8) -> Result<State, ChunkError> {
        match self.state {
            State::Size { size, digits } => size_digit(size, digits, byte),
            State::Extension { size } => self.extension(size, byte),
            State::SizeEnd { size } => match (byte, size) {
                (b'\n', 0) => Ok(State::TrailerStart),
                (b'\n', left) => Ok(State::Data { left }),
                _ => Err(ChunkError::Line),
            },
            State::DataReturn => expect(byte, b'\r', State::DataEnd, ChunkError::End),
            State::DataEnd => {
                let next = State::Size { size: 0, digits: 0 };
                expect(byte, b'\n', next, ChunkError::End)
            }
            State::TrailerStart | State::TrailerName | State::TrailerValue => self.trailer(byte),
            State::TrailerEnd => expect(byte, b'\n', State::TrailerStart, ChunkError::Line),
            State::LastEnd => expect(byte, b'\n', State::Done, ChunkError::Line),
            // Handled by the caller, which takes data as a whole and stops when done.
            State::Data { .. } | State::Done => Ok(self.state),
        }
    }

    fn extension(&mut self, size: u64, byte: u8) -> Result<State, ChunkError> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX {
            return Err(ChunkError::Extensions);
        }
        match byte {
            b'\r' => Ok(State::SizeEnd { size }),
            b'\t' | 0x20..=0x7e | 0x80..=0xff => Ok(State::Extension { size }),
            _ => Err(ChunkError::Line),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<State, ChunkError> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(ChunkError::TrailersTooLong);
        }
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastEnd),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerEnd),
            (State::TrailerValue, b'\t' | 0x20..=0x7e | 0x80..=0xff) => Ok(State::TrailerValue),
            (State::TrailerStart | State::TrailerName, name) if is_token(name) => {
                Ok(State::TrailerName)
            }
            _ => Err(ChunkError::Trailer),
        }
    }
}

fn size_digit(size: u64, digits: u8, byte: u8) -> Result<State, ChunkError> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\r' if digits > 0 => return Ok(State::SizeEnd { size }),
        // RFC 9112 lets blanks stand before the semicolon; nobody sends them, and readers differ.
        b';' if digits > 0 => return Ok(State::Extension { size }),
        _ => return Err(ChunkError::Size),
    };
    if digits == SIZE_DIGITS_MAX {
        return Err(ChunkError::Size);
    }
    Ok(State::Size {
        size: size << 4 | u64::from(digit),
        digits: digits + 1,
    })
}

fn expect(byte: u8, expected: u8, next: State, error: ChunkError) -> Result<State, ChunkError> {
    if byte == expected {
        Ok(next)
    } else {
        Err(error)
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and how much of the input was used; `None` while it has not ended.
    fn decode_in(pieces: &[&[u8]]) -> Result<(Vec<u8>, Option<usize>), ChunkError> {
        let mut decoder = Chunked::default();
        let (mut body, mut before) = (Vec::new(), 0);
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let progress = decoder.decode(rest)?;
                body.extend_from_slice(&rest[progress.data.clone()]);
                before += progress.consumed;
                if progress.done {
                    return Ok((body, Some(before)));
                }
                rest = &rest[progress.consumed..];
            }
        }
        Ok((body, None))
    }

    const GOOD: &[u8] =
        b"5;name=\"a;b\"\r\nhello\r\n00A\r\n, chunked!\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n";

    #[test]
    fn a_body_is_read_the_same_wherever_it_is_cut() {
        let whole = (b"hello, chunked!".to_vec(), Some(GOOD.len()));
        for cut in 0..=GOOD.len() {
            let (first, second) = GOOD.split_at(cut);
            assert_eq!(
                decode_in(&[first, second]).as_ref(),
                Ok(&whole),
                "cut at {cut}"
            );
        }
        let single: Vec<&[u8]> = GOOD.chunks(1).collect();
        assert_eq!(decode_in(&single).as_ref(), Ok(&whole));
        let followed = [GOOD, b"GET / HTTP/1.1"].concat();
        assert_eq!(decode_in(&[&followed]).as_ref(), Ok(&whole));
        assert_eq!(
            decode_in(&[&GOOD[..GOOD.len() - 1]]).map(|(_, end)| end),
            Ok(None)
        );
    }

    #[test]
    fn what_breaks_the_coding_is_refused() {
        for (body, error) in [
            (&b"\r\n"[..], ChunkError::Size),
            (b" 5\r\n", ChunkError::Size),
            (b"5 \r\n", ChunkError::Size),
            (b"+5\r\n", ChunkError::Size),
            (b"-1\r\n", ChunkError::Size),
            (b"0x5\r\n", ChunkError::Size),
            (b"5\n", ChunkError::Size),
            (b";a\r\n", ChunkError::Size),
            (b"0000000000000005\r\n", ChunkError::Size),
            (b"ffffffffffffffff\r\n", ChunkError::Size),
            (b"5\rhello", ChunkError::Line),
            (b"5;a\nhello", ChunkError::Line),
            (b"5;a\0", ChunkError::Line),
            (b"5;a\rb", ChunkError::Line),
            (b"3\r\nhello\r\n", ChunkError::End),
            (b"5\r\nhello\n", ChunkError::End),
            (b"0\r\n\n", ChunkError::Trailer),
            (b"0\r\n folded: 1\r\n", ChunkError::Trailer),
            (b"0\r\nno colon\r\n", ChunkError::Trailer),
            (b"0\r\na: b\n", ChunkError::Trailer),
            (b"0\r\n\rx", ChunkError::Line),
        ] {
            assert_eq!(
                decode_in(&[body]).err(),
                Some(error),
                "{}",
                body.escape_ascii()
            );
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded_over_the_whole_body() {
        let chunk = b"1;eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\na\r\n";
        let many = chunk.repeat(100);
        assert_eq!(decode_in(&[&many]).err(), Some(ChunkError::Extensions));
        let trailers = [b"0\r\n".as_slice(), &b"A: b\r\n".repeat(1_000)].concat();
        assert_eq!(
            decode_in(&[&trailers]).err(),
            Some(ChunkError::TrailersTooLong)
        );
        let plain = b"1\r\na\r\n".repeat(10_000);
        assert_eq!(decode_in(&[&plain]).map(|(body, _)| body.len()), Ok(10_000));
    }
}
