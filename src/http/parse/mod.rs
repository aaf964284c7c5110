//! Pure readers over bytes: request heads and chunked bodies.
//!
//! Owns: what is a well-formed request. Refuses: I/O, clocks, and every message that two readers
//! could understand in two ways (RFC 9112 section 11): such a request is refused, never repaired.
//! Invariant: a verdict depends on the bytes alone, however they were cut into pieces on the way.
//!
//! These files need nothing but std, httparse and thiserror, and from outside this folder only
//! `limits`, `method` and `status`: `fuzz/` compiles them alone.

mod chunked;
mod error;
mod framing;
mod head;
mod headers;
mod lines;
#[cfg(test)]
mod mutations;
mod percent;
mod target;

pub(crate) use chunked::{ChunkError, Chunked};
pub(crate) use error::HeadError;
pub(crate) use framing::Framing;
pub(crate) use head::{Head, Parsed, Version, parse_head};
pub(crate) use headers::Repeated;
