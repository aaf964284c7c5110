//! The answers that the server gives by itself, and the ways to give one without waiting.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::admission::Excess;
use super::connection::Held;
use crate::http::parse::HeadError;
use crate::http::response::Response;
use crate::http::status::Status;

/// Seconds in Retry-After: a burst has passed by then.
const RETRY_AFTER_S: &str = "1";
/// What is read before a refusal, because closing with unread bytes resets the connection.
const SWALLOWED_BYTES: usize = 4 * 1024;

/// A head that did not end in time.
pub(super) fn timed_out() -> Response {
    Response::error(
        Status::RequestTimeout,
        "request_timeout",
        "the request head did not arrive in time",
        "send the whole request head at once",
    )
}

/// Every worker is busy.
pub(super) fn overloaded() -> Response {
    Response::error(
        Status::ServiceUnavailable,
        "overloaded",
        "every worker is busy",
        "try again after the time in Retry-After",
    )
    .header("Retry-After", RETRY_AFTER_S)
}

/// A connection beyond a limit.
pub(super) fn excess(excess: Excess) -> Response {
    let (status, message) = match excess {
        Excess::All => (
            Status::ServiceUnavailable,
            "the server has as many connections as it takes",
        ),
        Excess::Peer => (
            Status::TooManyRequests,
            "this address has as many connections as it may have",
        ),
    };
    Response::error(
        status,
        "too_many_connections",
        message,
        "close idle connections, or try again after the time in Retry-After",
    )
    .header("Retry-After", RETRY_AFTER_S)
}

/// A head that is refused.
pub(super) fn malformed(error: HeadError) -> Response {
    Response::error(
        error.status(),
        error.code(),
        &error.to_string(),
        error.hint(),
    )
}

/// Writes what the socket takes at once, and closes.
pub(super) fn say_and_close(mut connection: Held, response: &Response) {
    let mut swallowed = [0; SWALLOWED_BYTES];
    // All of it best effort: a client that has filled its window does not read answers either.
    let _ = connection.wire.read_now(&mut swallowed);
    let _ = connection
        .wire
        .transport
        .write(&response.to_closing_bytes());
    connection.wire.transport.finish_writing();
}

/// As [`say_and_close`], for a socket that has become no connection of ours.
pub(super) fn say_to_socket(mut socket: &TcpStream, response: &Response) {
    let mut swallowed = [0; SWALLOWED_BYTES];
    let _ = socket.read(&mut swallowed);
    let _ = socket.write(&response.to_closing_bytes());
    let _ = socket.shutdown(Shutdown::Write);
}
