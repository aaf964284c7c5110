//! gRPC over HTTP/2 as values: messages in their frames, metadata, statuses. No I/O.
//!
//! The protocol is <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>; "the standard" below
//! means that page.

pub(in crate::rpc) mod framing;
pub(in crate::rpc) mod metadata;
pub(in crate::rpc) mod status;
