//! A worker on the wire, from the first call that it takes to the last that it answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::answering::Service;
use super::pools::Pools;
use crate::agent::serve::worker_api::Worker;
use crate::base::threads::Supervisor;
use crate::rpc::limits::Keepalive;
use crate::rpc::server::{AgentServer, ServerError};
use crate::rpc::tls::ServerIdentity;

/// A worker on the wire. Dropping it cuts off what runs; [`Serving::shutdown`] waits.
pub struct Serving {
    server: AgentServer,
    // After the server: nobody hands them work any more, and what they hold has been cut off.
    pools: Arc<Pools>,
}

impl Serving {
    /// Listens and serves. Port 0 takes a free one. Without an identity there is no TLS.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn start(
        address: SocketAddr,
        identity: Option<Arc<ServerIdentity>>,
        worker: Arc<dyn Worker>,
        supervisor: &Supervisor,
        keepalive: Keepalive,
    ) -> Result<Serving, ServerError> {
        let pools = Arc::new(Pools::start(supervisor));
        // Weak: a job of theirs may be the last to hold the service, and must not be the one that waits for
        // their threads.
        let service = Service::new(worker, Arc::downgrade(&pools), supervisor.clone());
        let server = AgentServer::start(address, identity, service, keepalive, supervisor)?;
        Ok(Serving { server, pools })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Accepts nothing new, lets running calls end for `grace`, cuts off the rest, and joins
    /// every thread.
    pub fn shutdown(self, grace: Duration) {
        let Serving { server, pools } = self;
        server.shutdown(grace);
        drop(pools);
    }
}
