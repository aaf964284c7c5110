//! One request head: request line and headers, read as a whole or not at all.

use super::error::HeadError;
use super::framing::{Framing, framing};
use super::headers::Headers;
use super::lines::find_head;
use super::target::{Target, is_host, parse_target};
use crate::http::limits::{Limits, MAX_HEADER_COUNT};
use crate::http::method::Method;

/// The versions that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Closes after each response unless asked not to; knows no chunks.
    Http10,
    /// The usual one.
    Http11,
}

/// What the bytes so far are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The beginning of a head that may become a good one.
    Incomplete,
    /// A whole head.
    Head(Box<Head>),
    /// No head that is served, whatever may follow.
    Reject(HeadError),
}

/// A request head that has passed every rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub method: Method,
    pub target: Target,
    pub version: Version,
    /// The header lines.
    pub headers: Headers,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client keeps the connection open for another request.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Bytes of the head; the body, or the next head, begins there.
    pub length: usize,
}

/// Reads the head that `bytes` begin with. A pure function: the same bytes give the same verdict,
/// and bytes after the head change nothing.
pub(crate) fn parse_head(bytes: &[u8], limits: &Limits) -> Parsed {
    match read(bytes, limits) {
        Ok(Some(head)) => Parsed::Head(Box::new(head)),
        Ok(None) => Parsed::Incomplete,
        Err(error) => Parsed::Reject(error),
    }
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Option<Head>, HeadError> {
    let Some(extent) = find_head(bytes, limits)? else {
        return Ok(None);
    };
    let lines = &bytes[extent.start..extent.end];
    let mut table = [httparse::EMPTY_HEADER; MAX_HEADER_COUNT];
    let table = &mut table[..limits.header_count.min(MAX_HEADER_COUNT)];
    let mut request = httparse::Request::new(table);
    match request.parse(lines) {
        Ok(httparse::Status::Complete(length)) if length == lines.len() => {}
        Ok(_) => return Err(HeadError::RequestLine),
        Err(error) => return Err(refusal(error, lines)),
    }
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(HeadError::RequestLine);
    };
    if target.len() > limits.target_bytes {
        return Err(HeadError::TargetTooLong);
    }
    let version = match version {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let method = Method::from_name(method).ok_or(HeadError::Method)?;
    let headers = copy(request.headers, lines.len())?;
    check_host(&headers, version)?;
    Ok(Some(Head {
        method,
        target: parse_target(target, method)?,
        version,
        framing: framing(&headers, version)?,
        keep_alive: keep_alive(&headers, version),
        expects_continue: expects_continue(&headers, version)?,
        headers,
        length: extent.end,
    }))
}

fn refusal(error: httparse::Error, lines: &[u8]) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyHeaders,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HeadError::HeaderLine,
        httparse::Error::Version if names_a_version(lines) => HeadError::Version,
        httparse::Error::Version
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token => HeadError::RequestLine,
    }
}

/// Whether the request line is three words of which the last is `HTTP/d.d`, as in the HTTP/2
/// preface.
fn names_a_version(lines: &[u8]) -> bool {
    let line = lines.split(|&byte| byte == b'\r').next().unwrap_or(lines);
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    let is_version = |word: &[u8]| {
        matches!(word, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit())
    };
    words.next().is_some_and(is_version) && words.next().is_none()
}

fn copy(parsed: &[httparse::Header<'_>], bytes: usize) -> Result<Headers, HeadError> {
    let mut headers = Headers::with_capacity(parsed.len(), bytes);
    for header in parsed {
        let value = std::str::from_utf8(header.value).map_err(|_| HeadError::HeaderEncoding)?;
        headers.push(header.name, value.trim_matches([' ', '\t']));
    }
    Ok(headers)
}

fn check_host(headers: &Headers, version: Version) -> Result<(), HeadError> {
    match headers.at_most_one("host") {
        Ok(Some(host)) if is_host(host) => Ok(()),
        Ok(Some(_)) => Err(HeadError::HostMalformed),
        Ok(None) if version == Version::Http10 => Ok(()),
        Ok(None) => Err(HeadError::HostMissing),
        Err(_) => Err(HeadError::HostRepeated),
    }
}

fn keep_alive(headers: &Headers, version: Version) -> bool {
    match version {
        Version::Http11 => !headers.has_token("connection", "close"),
        Version::Http10 => {
            headers.has_token("connection", "keep-alive")
                && !headers.has_token("connection", "close")
        }
    }
}

fn expects_continue(headers: &Headers, version: Version) -> Result<bool, HeadError> {
    // RFC 9110 section 10.1.1: ignored in an HTTP/1.0 request.
    if version == Version::Http10 {
        return Ok(false);
    }
    match headers.at_most_one("expect") {
        Ok(None) => Ok(false),
        Ok(Some(value)) if value.eq_ignore_ascii_case("100-continue") => Ok(true),
        Ok(Some(_)) | Err(_) => Err(HeadError::Expectation),
    }
}

#[cfg(test)]
mod tests;
