//! An agent's end of the wire: listens, admits the control plane alone, and ends in order.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grpcio::{
    ChannelBuilder, CheckResult, RpcContext, Server, ServerBuilder, ServerChecker,
    ServerCredentials, Service,
};
use thiserror::Error;

use super::environment::PollThreads;
use super::limits::{HANDSHAKE_BOUND, Keepalive, MAX_MESSAGE_BYTES, MAX_STREAMS, REQUEST_SLOTS};
use super::status::Refusal;
use super::tls::{ServerIdentity, server_credentials};
use super::wait::wait_until;
use crate::wire::error::ErrorKind;
use crate::wire::names::CONTROL_NAME;

const SAN_PROPERTY: &str = "x509_subject_alternative_name";

/// Why there is no server.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address is taken, is not this machine's, or needs more rights; the library does not
    /// say which.
    #[error("cannot listen on {address}: it is in use, or not an address of this machine")]
    Listen {
        /// As it was asked for.
        address: SocketAddr,
    },
    /// The gRPC library refused its own configuration.
    #[error("cannot build the gRPC server")]
    Build(#[source] grpcio::Error),
}

/// A server that accepts calls until it is dropped.
pub struct AgentServer {
    server: Server,
    address: SocketAddr,
    // Last: the server runs on it.
    _threads: PollThreads,
}

impl fmt::Debug for AgentServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl AgentServer {
    /// Listens and serves. Port 0 takes a free one: see [`AgentServer::address`]. Without an
    /// identity there is no TLS, and whoever reaches the address commands the agent.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start(
        address: SocketAddr,
        identity: Option<Arc<ServerIdentity>>,
        service: Service,
        keepalive: Keepalive,
    ) -> Result<AgentServer, ServerError> {
        let threads = PollThreads::start("rpc-server");
        let builder = ServerBuilder::new(threads.environment());
        let builder = tuned(builder, &threads, keepalive)
            .requests_slot_per_cq(REQUEST_SLOTS)
            .register_service(service);
        let (builder, credentials) = match identity {
            Some(identity) => (
                builder.add_checker(OnlyControl),
                server_credentials(identity),
            ),
            None => (builder, ServerCredentials::insecure()),
        };
        let mut server = builder.build().map_err(ServerError::Build)?;
        let port = server
            .add_listening_port(address.to_string(), credentials)
            .map_err(|_| ServerError::Listen { address })?;
        server.start();
        Ok(AgentServer {
            server,
            address: SocketAddr::new(address.ip(), port),
            _threads: threads,
        })
    }

    /// Where it listens, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing new, lets running calls end for `grace`, then cuts them off. Joins the
    /// server's threads.
    pub(crate) fn shutdown(mut self, grace: Duration) {
        let ended = self.server.shutdown();
        if wait_until(ended, Instant::now() + grace).is_none() {
            log::warn!("cutting off the calls that still run after {grace:?}");
            self.server.cancel_all_calls();
        }
    }
}

fn tuned(builder: ServerBuilder, threads: &PollThreads, keepalive: Keepalive) -> ServerBuilder {
    let message_bytes = i32::try_from(MAX_MESSAGE_BYTES).unwrap_or(i32::MAX);
    let handshake_ms = i32::try_from(HANDSHAKE_BOUND.as_millis()).unwrap_or(i32::MAX);
    let arguments = ChannelBuilder::new(threads.environment())
        .max_receive_message_len(message_bytes)
        .max_send_message_len(message_bytes)
        .max_concurrent_stream(MAX_STREAMS)
        // Two agents on one port would each get some of the calls.
        .reuse_port(false)
        .keepalive_time(keepalive.time)
        .keepalive_timeout(keepalive.timeout)
        .http2_max_pings_without_data(0)
        // What the client's keepalive needs, or it is cut off for it.
        .keepalive_permit_without_calls(true)
        .http2_min_recv_ping_interval_without_data(keepalive.tolerated)
        .raw_cfg_int(c"grpc.server_handshake_timeout_ms".to_owned(), handshake_ms)
        .build_args();
    builder.channel_args(arguments)
}

/// Every method, before it runs: the caller's certificate, which the handshake has verified, is
/// the control plane's and nothing else.
#[derive(Clone)]
struct OnlyControl;

impl ServerChecker for OnlyControl {
    fn check(&mut self, context: &RpcContext<'_>) -> CheckResult {
        if is_control(context) {
            return CheckResult::Continue;
        }
        let refusal = Refusal {
            kind: ErrorKind::NotAuthorised,
            subject: String::new(),
            message: "only the control plane may call an agent".to_owned(),
        };
        CheckResult::Abort(refusal.to_status())
    }

    fn box_clone(&self) -> Box<dyn ServerChecker> {
        Box::new(self.clone())
    }
}

fn is_control(context: &RpcContext<'_>) -> bool {
    let Some(peer) = context.auth_context() else {
        return false;
    };
    let mut names = peer
        .into_iter()
        .filter(|property| property.name() == SAN_PROPERTY)
        .map(|property| property.value() == CONTROL_NAME.as_bytes());
    names.next() == Some(true) && names.next().is_none() && peer.peer_is_authenticated()
}
