//! Sockets, TLS, the poller and the workers: bytes in, bytes out.
//!
//! ```text
//! acceptor ──parks──▶ poller ──readable──▶ dispatcher ──▶ worker ──handler──▶ response
//!                        ▲                                   │
//!                        └── incomplete, idle, or not taken ─┘
//! ```
//!
//! Invariants: a connection is in exactly one place, the poller's table, the dispatcher's queue
//! or a worker. A worker waits for a client only inside a handler that reads a body or writes a
//! stream; in every other state the connection waits in the poller, at the cost of a table entry.

mod accept;
mod admission;
mod connection;
mod dispatch;
mod listen;
mod poll_loop;
mod poller;
mod refuse;
mod serve;
mod shared;
mod table;
mod throttle;
mod tls;
mod transport;
mod watch;
mod wire;

pub(crate) use listen::StartError;
pub use listen::{ListenConfig, Server};
pub use tls::{TlsConfig, TlsError};
pub(in crate::http) use watch::Watch;
pub(in crate::http) use wire::Wire;
