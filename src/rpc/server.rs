//! An agent's end of the wire: listens, admits the control plane alone, and ends in order.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::h2::keepalive;
use super::h2::listen::{Door, Listening};
use super::h2::requests::Incoming;
use super::limits::Keepalive;
use super::status::Refusal;
use super::tls::ServerIdentity;
use crate::base::threads::Supervisor;
use crate::wire::error::ErrorKind;

/// The address is taken, is not this machine's, or needs more rights.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
pub struct ServerError {
    /// As it was asked for.
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// What answers calls.
pub trait Service: Send + Sync + 'static {
    /// Whether a method's messages stream in; `None` for one that there is not.
    fn is_streaming_in(path: &str) -> Option<bool>
    where
        Self: Sized;

    /// Answers, or has somebody answer. Must not wait.
    fn serve(&self, incoming: Incoming);
}

/// A server that accepts calls until it is dropped.
pub struct AgentServer {
    listening: Listening,
}

impl fmt::Debug for AgentServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentServer")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl AgentServer {
    /// Listens and serves. Port 0 takes a free one: see [`AgentServer::address`]. Without an
    /// identity there is no TLS, and whoever reaches the address commands the agent.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start<S: Service>(
        address: SocketAddr,
        identity: Option<Arc<ServerIdentity>>,
        service: S,
        keepalive: Keepalive,
        supervisor: &Supervisor,
    ) -> Result<AgentServer, ServerError> {
        let door = Door {
            identity,
            keepalive: keepalive::Keepalive {
                time: keepalive.time,
                timeout: keepalive.timeout,
                when_idle: true,
                tolerated: Some(keepalive.tolerated),
            },
            is_streaming_in: S::is_streaming_in,
            serve: Box::new(move |incoming, is_control| {
                if is_control {
                    service.serve(incoming);
                } else {
                    refuse(incoming);
                }
            }),
            supervisor: supervisor.clone(),
        };
        let listening = Listening::start(address, door);
        let listening = listening.map_err(|source| ServerError { address, source })?;
        Ok(AgentServer { listening })
    }

    /// Where it listens, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Accepts nothing new, lets running calls end for `grace`, then cuts them off. Joins the
    /// server's threads.
    pub fn shutdown(mut self, grace: Duration) {
        if !self.listening.drain(grace) {
            log::warn!("cutting off the calls that still run after {grace:?}");
        }
    }
}

/// The caller's certificate, which the handshake has verified, is not the control plane's.
fn refuse(incoming: Incoming) {
    let refusal = Refusal {
        kind: ErrorKind::NotAuthorised,
        subject: String::new(),
        message: "only the control plane may call an agent".to_owned(),
    };
    // A caller that has left needs no answer.
    let _ = incoming.responder.end(&refusal.to_status());
}
