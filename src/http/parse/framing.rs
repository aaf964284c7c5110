//! How a request's body is delimited (RFC 9112 section 6): the one place where a second opinion
//! would be a smuggled request, so every doubt is a refusal.

use super::error::HeadError;
use super::head::Version;
use super::headers::Headers;

/// 19 digits: every number of that many fits a u64.
const LENGTH_DIGITS_MAX: usize = 19;

/// The delimitation of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Neither header: no body.
    None,
    /// Content-Length, in bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// The framing that `headers` declare.
pub(super) fn framing(headers: &Headers, version: Version) -> Result<Framing, HeadError> {
    let mut lengths = headers.all("content-length");
    let mut encodings = headers.all("transfer-encoding");
    match (lengths.next(), encodings.next()) {
        (None, None) => Ok(Framing::None),
        (Some(_), Some(_)) => Err(HeadError::LengthAndEncoding),
        (Some(length), None) => {
            if lengths.next().is_some() {
                return Err(HeadError::LengthRepeated);
            }
            content_length(length).map(Framing::Length)
        }
        (None, Some(encoding)) => {
            if version == Version::Http10 {
                return Err(HeadError::EncodingInOldVersion);
            }
            if encodings.next().is_some() || !encoding.eq_ignore_ascii_case("chunked") {
                return Err(HeadError::Encoding);
            }
            Ok(Framing::Chunked)
        }
    }
}

fn content_length(value: &str) -> Result<u64, HeadError> {
    // Checked by hand: u64's own parser takes a leading plus sign.
    if value.len() > LENGTH_DIGITS_MAX || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HeadError::LengthMalformed);
    }
    value.parse().map_err(|_| HeadError::LengthMalformed)
}
