//! Percent escapes (RFC 3986 section 2.1), decoded strictly.

/// `%` without two hexadecimal digits, or bytes that are no UTF-8 once decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid percent escape")]
pub(crate) struct DecodeError;

/// The text that `raw` stands for. With `plus_is_space`, as HTML forms write queries.
///
/// # Errors
/// [`DecodeError`]: nothing is guessed or replaced, since two guesses may differ.
pub(crate) fn decode(raw: &str, plus_is_space: bool) -> Result<String, DecodeError> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = hex_digit(bytes.next())?;
                let low = hex_digit(bytes.next())?;
                high << 4 | low
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| DecodeError)
}

fn hex_digit(byte: Option<u8>) -> Result<u8, DecodeError> {
    match byte {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(DecodeError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_or_refused_and_never_guessed() {
        assert_eq!(decode("a%2Fb+c", false).as_deref(), Ok("a/b+c"));
        assert_eq!(decode("a%2fb+c", true).as_deref(), Ok("a/b c"));
        assert_eq!(decode("%C3%A9", false).as_deref(), Ok("é"));
        for raw in ["%", "%4", "%zz", "%+1", "%C3", "%FF", "a%2"] {
            assert_eq!(decode(raw, false), Err(DecodeError), "{raw}");
        }
    }
}
