//! The front door: a small, bounded HTTP/1.1 server, which knows nothing of what it serves.
//!
//! ```text
//! server/    sockets, TLS, the poller and the workers: bytes in, bytes out
//! parse/     pure readers over bytes: request heads and chunked bodies
//! request, body, response, body_writer, sse    what a handler sees
//! ```
//!
//! Invariant: no byte sequence from a client that has not authenticated crashes, hangs or bloats
//! the process. Every bound is a field of [`limits::Limits`] or a named constant beside its use.

pub(crate) mod body;
pub(crate) mod body_writer;
pub(crate) mod handler;
pub(crate) mod limits;
pub(crate) mod method;
pub(crate) mod parse;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod server;
pub mod sse;
pub(crate) mod status;

pub use body::BodyError;
pub use limits::Limits;
pub use request::Request;
pub use response::Response;
pub(crate) use server::StartError;
pub use server::{ListenConfig, Server, TlsConfig, TlsError};
pub use status::Status;
