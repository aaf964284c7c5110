//! Everything of gRPC that is not generated: channels, credentials, deadlines, typed errors.
//!
//! Only here and in `agent/serve/service/` does the gRPC library appear. Everybody else sees values
//! of `model` and `wire`, blocking calls, and crossbeam receivers where a call must be waited
//! for together with something else.
//!
//! Threads: a client side and a server side own two completion-queue threads each, named
//! `rpc-client-0..1` and `rpc-server-0..1`, joined when their owner is dropped. The gRPC core
//! runs a few timer and resolver threads of its own beside them, for the whole process.

pub(crate) mod address;
pub(crate) mod channels;
pub mod client;
pub(crate) mod ends;
mod environment;
pub(crate) mod error;
pub(crate) mod execute;
pub mod follow;
pub(crate) mod legacy;
pub mod limits;
pub mod probe;
pub mod release;
pub(crate) mod serve;
pub mod server;
pub(crate) mod status;
pub mod tls;
mod wait;
pub(crate) mod watch;

pub use channels::Channels;
pub use client::AgentClient;
pub(crate) use environment::LOG_TARGET;
pub use error::RpcError;
pub(crate) use probe::ProbeError;
pub(crate) use status::Refusal;
pub use tls::TlsIdentity;
