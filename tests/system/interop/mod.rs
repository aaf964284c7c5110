//! The wire between the daemons against another implementation of gRPC: PyPI's `grpcio`, as the client of our
//! server and as the server of our client, with certificates and without.
//!
//! The scripts beside these files are the other end: they do one thing, and say what they saw of it. What is
//! right is decided here.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod environment;
pub mod existing;
pub mod our_client;
pub mod our_client_streams;
pub mod our_server;
pub mod our_server_ends;
mod peer;
mod wire;
