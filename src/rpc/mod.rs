//! gRPC between control plane and agents: blocking calls with deadlines and typed errors, over mutual TLS.
//!
//! ```text
//! h2     connections: frames and streams, who reads and who writes, the server's door
//! grpc   what goes over a stream: messages, metadata, statuses
//! client, execute, follow, watch, release   calls, on channels that connect again by themselves
//! serve, server   what a service answers them with
//! ```
//!
//! Everybody else sees values of `model` and `wire`, blocking calls, and crossbeam receivers where a call must
//! be waited for together with something else.
//!
//! Threads: each connection has one, which reads it: `rpc-link-N` at the client, `rpc-connection-N` at the
//! server, where `rpc-acceptor` takes them. Their owners join them.

pub(crate) mod address;
mod call;
mod channel;
pub(crate) mod channels;
pub mod client;
pub(crate) mod ends;
pub(crate) mod error;
pub mod execute;
pub mod follow;
mod grpc;
mod h2;
pub(crate) mod legacy;
pub mod limits;
pub mod probe;
pub mod release;
pub mod serve;
pub mod server;
pub(crate) mod status;
pub mod tls;
pub(crate) mod watch;

pub use channels::Channels;
pub use client::AgentClient;
pub use error::RpcError;
pub(crate) use probe::ProbeError;
pub(crate) use status::Refusal;
pub use tls::TlsIdentity;
