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

pub mod body;
pub mod body_writer;
pub mod handler;
pub mod limits;
pub mod method;
pub mod parse;
pub mod request;
pub mod response;
pub mod server;
pub mod sse;
pub mod status;

pub use body::{Body, BodyError};
pub use body_writer::BodyWriter;
pub use handler::Handler;
pub use limits::Limits;
pub use method::Method;
pub use request::Request;
pub use response::Response;
pub use server::{ListenConfig, Server, StartError, TlsConfig, TlsError};
pub use status::Status;
