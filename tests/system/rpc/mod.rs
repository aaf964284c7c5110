//! The wire between control plane and agent: the real gRPC server and client over loopback,
//! with real certificates, and a scripted worker behind them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

pub mod calls;
pub mod connection;
pub mod double;
pub mod fixture;
pub mod floods;
mod hostile;
pub mod hostile_agents;
pub mod hostile_answers;
pub mod keepalive;
pub mod legacy;
mod raw;
pub mod security;
pub mod stalls;
pub mod strangers;
pub mod streams;
