//! The wire between control plane and agent: the real gRPC server and client over loopback,
//! with real certificates, and a scripted worker behind them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

pub mod calls;
pub mod connection;
mod double;
mod fixture;
pub mod keepalive;
pub mod legacy;
pub mod security;
pub mod streams;
