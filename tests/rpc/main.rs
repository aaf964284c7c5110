//! The wire between control plane and agent: the real gRPC server and client over loopback,
//! with real certificates, and a scripted worker behind them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod calls;
mod connection;
mod fixture;
mod keepalive;
mod legacy;
mod security;
mod streams;
