//! What a handler answers, and how it looks on the wire.

use std::borrow::Cow;
use std::io;

use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::json;

use super::body_writer::BodyWriter;
use super::method::Method;
use super::parse::Version;
use super::status::Status;

/// Headers that frame the message: the server's alone to write, and dropped from a handler's.
const FRAMING_HEADERS: [&str; 5] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "transfer-encoding",
];

/// Writes a body piece by piece, on the worker's thread. An error cuts the connection, so that
/// the client does not take the part for the whole.
pub(crate) type Stream = Box<dyn FnOnce(&mut BodyWriter<'_>) -> io::Result<()> + Send>;

/// A status, headers and a body.
#[must_use]
pub struct Response {
    status: Status,
    headers: Vec<(Cow<'static, str>, String)>,
    body: Content,
    closes: bool,
}

enum Content {
    Bytes(Vec<u8>),
    Stream(Stream),
}

/// How the client will know where a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamFraming {
    Chunked,
    UntilClose,
}

/// A response in the dialect of one request.
pub(super) struct Reply {
    pub(super) head: Vec<u8>,
    pub(super) payload: Payload,
}

pub(super) enum Payload {
    Bytes(Vec<u8>),
    Stream(Stream, StreamFraming),
}

impl Response {
    /// Without a body.
    pub(crate) fn empty(status: Status) -> Response {
        Response {
            status,
            headers: Vec::new(),
            body: Content::Bytes(Vec::new()),
            closes: false,
        }
    }

    /// A response whose body has that content type.
    pub fn bytes(status: Status, content_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
        let mut response = Response::empty(status).header("Content-Type", content_type);
        response.body = Content::Bytes(body.into());
        response
    }

    /// A response with a JSON body.
    pub(crate) fn json(status: Status, body: &serde_json::Value) -> Response {
        Response::bytes(status, "application/json", body.to_string())
    }

    /// The one shape of errors: a code for programs, a message and a hint for people.
    pub fn error(status: Status, code: &str, message: &str, hint: &str) -> Response {
        let error = json!({"error": {"code": code, "message": message, "hint": hint}});
        Response::json(status, &error)
    }

    /// With a body that `write` produces while it is sent.
    pub fn stream(
        status: Status,
        content_type: &'static str,
        write: impl FnOnce(&mut BodyWriter<'_>) -> io::Result<()> + Send + 'static,
    ) -> Response {
        let mut response = Response::empty(status).header("Content-Type", content_type);
        response.body = Content::Stream(Box::new(write));
        response
    }

    /// Adds a header line. Control bytes in it become spaces, so that no value can begin another
    /// line; a framing header is dropped.
    pub(crate) fn header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Closes the connection after this response.
    pub fn close(mut self) -> Response {
        self.closes = true;
        self
    }

    /// The body, unless it is a stream.
    pub(crate) fn body_bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Content::Bytes(bytes) => Some(bytes),
            Content::Stream(_) => None,
        }
    }

    /// Whether another request may follow, as far as the response is concerned.
    pub(super) fn keeps_connection(&self, version: Version) -> bool {
        let ends_by_close = version == Version::Http10 && matches!(self.body, Content::Stream(_));
        !self.closes && !ends_by_close
    }

    pub(super) fn into_reply(self, version: Version, method: Method, stays: bool) -> Reply {
        let head = self.head_bytes(version, stays);
        let has_body = method != Method::Head && self.status.allows_body();
        let payload = match self.body {
            Content::Bytes(body) if has_body => Payload::Bytes(body),
            Content::Stream(write) if has_body => {
                let framing = match version {
                    Version::Http11 => StreamFraming::Chunked,
                    Version::Http10 => StreamFraming::UntilClose,
                };
                Payload::Stream(write, framing)
            }
            Content::Bytes(_) | Content::Stream(_) => Payload::Bytes(Vec::new()),
        };
        Reply { head, payload }
    }

    /// The whole of a bytes response after which the server closes.
    pub(super) fn to_closing_bytes(&self) -> Vec<u8> {
        let mut whole = self.head_bytes(Version::Http11, false);
        whole.extend_from_slice(self.body_bytes().unwrap_or_default());
        whole
    }

    fn head_bytes(&self, version: Version, stays: bool) -> Vec<u8> {
        // Room for the lines below and some headers; a large body is not copied behind it.
        let mut head = Vec::with_capacity(512);
        push(
            &mut head,
            &["HTTP/1.1 ", &self.status.code().to_string(), " "],
        );
        push(
            &mut head,
            &[self.status.reason(), "\r\nDate: ", &date(), "\r\n"],
        );
        if self.status.allows_body() {
            match &self.body {
                Content::Bytes(body) => {
                    push(
                        &mut head,
                        &["Content-Length: ", &body.len().to_string(), "\r\n"],
                    );
                }
                Content::Stream(_) if version == Version::Http11 => {
                    push(&mut head, &["Transfer-Encoding: chunked\r\n"]);
                }
                Content::Stream(_) => {}
            }
        }
        match (version, stays) {
            (Version::Http11, true) => {}
            (Version::Http10, true) => push(&mut head, &["Connection: keep-alive\r\n"]),
            (Version::Http10 | Version::Http11, false) => {
                push(&mut head, &["Connection: close\r\n"]);
            }
        }
        for (name, value) in &self.headers {
            let frames = |framing: &&str| framing.eq_ignore_ascii_case(name);
            if !FRAMING_HEADERS.iter().any(frames) {
                push(
                    &mut head,
                    &[&printable(name), ": ", &printable(value), "\r\n"],
                );
            }
        }
        push(&mut head, &["\r\n"]);
        head
    }
}

fn push(to: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        to.extend_from_slice(part.as_bytes());
    }
}

fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(|c: char| c.is_control()) {
        Cow::Owned(text.replace(|c: char| c.is_control(), " "))
    } else {
        Cow::Borrowed(text)
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn date() -> String {
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&jiff::Timestamp::now())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: Response, version: Version, method: Method, stays: bool) -> String {
        let reply = response.into_reply(version, method, stays);
        let body = match reply.payload {
            Payload::Bytes(body) => body,
            Payload::Stream(_, framing) => format!("<{framing:?}>").into_bytes(),
        };
        String::from_utf8([reply.head, body].concat()).expect("text")
    }

    fn ok() -> Response {
        Response::bytes(Status::Ok, "text/plain", "hello")
    }

    fn streamed() -> Response {
        Response::stream(Status::Ok, "text/plain", |_| Ok(()))
    }

    #[test]
    fn a_body_is_framed_by_its_length_and_absent_for_head_and_204() {
        let get = text(ok(), Version::Http11, Method::Get, true);
        assert!(get.starts_with("HTTP/1.1 200 OK\r\nDate: "), "{get}");
        assert!(get.contains(" GMT\r\nContent-Length: 5\r\n"), "{get}");
        assert!(
            get.ends_with("Content-Type: text/plain\r\n\r\nhello"),
            "{get}"
        );
        assert!(!get.contains("Connection:"));
        let head = text(ok(), Version::Http11, Method::Head, true);
        assert!(head.contains("Content-Length: 5\r\n") && head.ends_with("\r\n\r\n"));
        let none = Response::empty(Status::NoContent);
        let none = text(none, Version::Http11, Method::Get, true);
        assert!(!none.contains("Content-Length"), "{none}");
    }

    #[test]
    fn a_stream_is_chunked_for_1_1_and_ends_by_close_for_1_0() {
        let new = text(streamed(), Version::Http11, Method::Get, true);
        assert!(new.contains("Transfer-Encoding: chunked\r\n") && new.ends_with("<Chunked>"));
        let old = text(streamed(), Version::Http10, Method::Get, false);
        assert!(
            !old.contains("Encoding") && !old.contains("Length"),
            "{old}"
        );
        assert!(old.contains("Connection: close\r\n") && old.ends_with("<UntilClose>"));
        assert!(!streamed().keeps_connection(Version::Http10));
        let head = text(streamed(), Version::Http11, Method::Head, true);
        assert!(head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn a_header_value_cannot_begin_another_line_and_framing_is_ours() {
        let response = ok()
            .header("X-Reason", "a\r\nX-Evil: 1\0")
            .header("Content-length", "99")
            .header("connection", "upgrade");
        let text = text(response, Version::Http11, Method::Get, true);
        assert!(text.contains("X-Reason: a  X-Evil: 1 \r\n"), "{text}");
        assert!(!text.contains("99") && !text.contains("upgrade"), "{text}");
    }
}
