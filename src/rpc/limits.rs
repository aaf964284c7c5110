//! Bounds of size and time, each with its reason.

use std::time::Duration;

/// The archive in one message, which legacy peers bound too.
pub(crate) const MAX_DEPLOY_BYTES: usize = 50 << 20;
/// One message, both ways: an archive, or an execution's output, and what surrounds it.
pub(crate) const MAX_MESSAGE_BYTES: usize = MAX_DEPLOY_BYTES + (2 << 20);
/// Of messages that have not come in whole, or are whole and their call cannot go on yet, on one connection: a few
/// of the largest.
pub(crate) const BUFFERED_MOST: usize = 4 * MAX_MESSAGE_BYTES;
/// Of messages that wait for a peer to take them, on one connection: as many again.
pub(crate) const QUEUED_MOST: usize = 4 * MAX_MESSAGE_BYTES;
/// One piece of a pushed release: large enough to keep a fast network busy, small enough for
/// flow control to be felt.
pub(crate) const RELEASE_CHUNK_BYTES: usize = 512 << 10;

/// How long a call waits for a connection before the agent counts as unreachable. A TCP and TLS
/// handshake across the world takes under a second.
pub const CONNECT_BOUND: Duration = Duration::from_secs(3);
/// Identifying an unknown agent: connect, handshake, read its certificate.
pub(crate) const PROBE_BOUND: Duration = Duration::from_secs(5);
/// Calls that answer from memory.
pub(crate) const STATUS_DEADLINE: Duration = Duration::from_secs(5);
/// Calls that read or write the agent's disk.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// A cancel answers once the whole process tree is dead, or after 20 s that it is not: twice that.
pub(crate) const CANCEL_DEADLINE: Duration = Duration::from_secs(40);
/// A release of the largest size over a slow line, and its extraction.
pub const RELEASE_DEADLINE: Duration = Duration::from_secs(15 * 60);
/// An asynchronous execution is answered when it is on the agent's disk.
pub(crate) const ACCEPT_DEADLINE: Duration = Duration::from_secs(30);
/// Beyond an execution's own timeout: killing its tree, and sending up to 50 MiB of output.
pub(crate) const EXECUTE_MARGIN: Duration = Duration::from_secs(60);

/// Silence after which a peer is asked whether it is there.
pub(crate) const KEEPALIVE_TIME: Duration = Duration::from_secs(20);
/// Silence after the question after which it is not.
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// What the server tolerates: half of what the client does, because timers are not exact and a
/// server that feels pestered closes the connection with everything on it.
pub(crate) const KEEPALIVE_TOLERATED: Duration = Duration::from_secs(10);
/// The three of them, for a connection between daemons of Flux.
#[derive(Debug, Clone, Copy)]
pub struct Keepalive {
    /// See [`KEEPALIVE_TIME`].
    pub time: Duration,
    /// See [`KEEPALIVE_TIMEOUT`].
    pub timeout: Duration,
    /// See [`KEEPALIVE_TOLERATED`].
    pub tolerated: Duration,
}
impl Default for Keepalive {
    fn default() -> Keepalive {
        Keepalive {
            time: KEEPALIVE_TIME,
            timeout: KEEPALIVE_TIMEOUT,
            tolerated: KEEPALIVE_TOLERATED,
        }
    }
}
/// Towards legacy agents, which may close a connection that asks more often than every five
/// minutes, the usual default of gRPC servers.
pub(crate) const KEEPALIVE_TIME_GENTLE: Duration = Duration::from_secs(6 * 60);

/// First and longest pause between attempts to connect.
pub(crate) const RECONNECT_FIRST: Duration = Duration::from_millis(200);
/// See [`RECONNECT_FIRST`].
pub(crate) const RECONNECT_MOST: Duration = Duration::from_secs(5);

/// Calls at once on one connection: far above what an agent admits, so that a full agent answers
/// by its own refusal and not by the silence of a queue in the transport.
pub(crate) const MAX_STREAMS: u32 = 4096;
/// Requests of one connection that are whole and wait for the thread that looks at them.
pub(crate) const REQUESTS_QUEUED: usize = 4096;
/// A stranger that connects and says nothing is cut off after this.
pub(crate) const HANDSHAKE_BOUND: Duration = Duration::from_secs(10);
