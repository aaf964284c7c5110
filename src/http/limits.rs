//! Every bound of the server in one place, with its unit and its reason.
//!
//! Std only, like `parse/`: the fuzz targets compile these files alone.

use std::time::Duration;

/// What one server allows. [`Limits::default`] suits a control plane on a small host.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of request line and headers, up to and with the empty line; more is a 431.
    pub head_bytes: usize,
    /// Header lines; more is a 431. At most [`MAX_HEADER_COUNT`] counts.
    pub header_count: usize,
    /// Bytes of the request target; more is a 414.
    pub target_bytes: usize,
    /// Connections at once, whatever their state; one more is told 503 and closed.
    pub connections: usize,
    /// Connections at once from one IPv4 address or one IPv6 /64; one more is told 429 and
    /// closed. `None` sets no bound, for a server behind a proxy.
    pub connections_per_peer: Option<usize>,
    /// From the first byte of a request to the end of its head; then 408 and close.
    pub head_deadline: Duration,
    /// From accept to the end of the TLS handshake; then close.
    pub handshake_deadline: Duration,
    /// From the end of the head to the end of the body.
    pub body_deadline: Duration,
    /// Between two arrivals of body bytes.
    pub read_timeout: Duration,
    /// Without progress on a response that the client does not take.
    pub write_timeout: Duration,
    /// Between two requests of a connection, and before its first.
    pub idle_timeout: Duration,
    /// Threads that run handlers.
    pub workers: usize,
    /// A readable connection that no worker takes for this long is told 503.
    pub queue_wait: Duration,
    /// A worker without work for this long ends.
    pub worker_idle: Duration,
    /// Requests served on one connection before it is closed; `None` sets no bound.
    pub requests_per_connection: Option<u64>,
}

/// The parser's table of headers lives on the stack; this is its size, in headers.
pub(crate) const MAX_HEADER_COUNT: usize = 128;

/// 16 KiB: twice what common servers allow for one field, far above what our clients send.
const HEAD_BYTES: usize = 16 * 1024;
/// 64 headers: browsers behind proxies send about 30.
const HEADER_COUNT: usize = 64;
/// 8 KiB, which RFC 9112 section 3 recommends as the least to support (8,000 octets).
const TARGET_BYTES: usize = 8 * 1024;
/// 4096 connections cost a few MiB when idle, and fit a file limit of 8192.
const CONNECTIONS: usize = 4096;
/// 256 per peer: sixteen addresses are needed to hold every connection.
const CONNECTIONS_PER_PEER: usize = 256;
/// 10 s: a head is one or two packets; a satellite link needs two seconds for it.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// 10 s, for the two round trips of a handshake.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// 5 minutes: a 50 MiB archive at 1.4 Mbit/s.
const BODY_DEADLINE: Duration = Duration::from_secs(300);
/// 30 s: ten TCP retransmissions' worth of silence.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// 30 s, as for reading.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// 75 s: longer than the 60 s after which common client pools drop a connection themselves,
/// so that the client, which knows whether a request is under way, closes first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// 512 synchronous calls may wait for their functions at once.
const WORKERS: usize = 512;
/// 1 s: a burst passes in less; a client does better to hear 503 than to wait for more.
const QUEUE_WAIT: Duration = Duration::from_secs(1);
/// 30 s: threads outlive the pauses within a burst, and an idle daemon has none.
const WORKER_IDLE: Duration = Duration::from_secs(30);

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head_bytes: HEAD_BYTES,
            header_count: HEADER_COUNT,
            target_bytes: TARGET_BYTES,
            connections: CONNECTIONS,
            connections_per_peer: Some(CONNECTIONS_PER_PEER),
            head_deadline: HEAD_DEADLINE,
            handshake_deadline: HANDSHAKE_DEADLINE,
            body_deadline: BODY_DEADLINE,
            read_timeout: READ_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            workers: WORKERS,
            queue_wait: QUEUE_WAIT,
            worker_idle: WORKER_IDLE,
            requests_per_connection: None,
        }
    }
}
