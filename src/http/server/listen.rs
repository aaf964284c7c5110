//! One listening server: started, drained, joined.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{Backlog, listen, setsockopt, sockopt};

use super::accept::Acceptor;
use super::admission::Admission;
use super::dispatch::Dispatcher;
use super::poll_loop;
use super::poller::Poller;
use super::shared::Shared;
use super::tls::TlsConfig;
use crate::base::threads::{Joined, Supervisor, lock};
use crate::http::handler::Handler;
use crate::http::limits::Limits;

/// Handshakes that the kernel completes before we accept: a burst of clients at the limit. The
/// kernel cuts it to net.core.somaxconn.
const BACKLOG: i32 = 4096;
/// A peer that is silent for this long is asked whether it is there: 60 s, then 4 times every
/// 15 s. Finds the client that lost its power or network while a function runs for it.
const KEEPALIVE_IDLE_S: u32 = 60;
const KEEPALIVE_INTERVAL_S: u32 = 15;
const KEEPALIVE_PROBES: u32 = 4;

/// Where and how to listen.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// Port 0 asks for any free one.
    pub address: SocketAddr,
    /// Without it, plain HTTP.
    pub tls: Option<TlsConfig>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// No descriptors, memory or threads.
    #[error("cannot start the server's threads")]
    Resources(#[source] io::Error),
}

/// A running server. Dropping it ends it at once; [`Server::drain`] before that lets requests
/// finish.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop_accepting: Arc<EventFd>,
    acceptor: Mutex<Option<Joined>>,
    poll_thread: Option<Joined>,
}

impl Server {
    /// Listens, and serves each request with `handler`.
    ///
    /// # Errors
    /// [`StartError::Listen`] and [`StartError::Resources`].
    pub fn start(
        config: ListenConfig,
        limits: Limits,
        handler: Arc<dyn Handler>,
        supervisor: &Supervisor,
    ) -> Result<Server, StartError> {
        let address = config.address;
        let failed = |source| StartError::Listen { address, source };
        let listener = bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let poller = Arc::new(Poller::new().map_err(StartError::Resources)?);
        let dispatcher = Dispatcher::new(&limits, supervisor);
        let admission = Admission::new(limits.connections, limits.connections_per_peer);
        let shared = Arc::new(Shared::new(limits, handler, poller, dispatcher));
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let stop_accepting = EventFd::from_flags(flags)
            .map(Arc::new)
            .map_err(|errno| StartError::Resources(errno.into()))?;
        // Built before its threads: whatever fails below is undone by its drop.
        let mut server = Server {
            address,
            shared: Arc::clone(&shared),
            stop_accepting: Arc::clone(&stop_accepting),
            acceptor: Mutex::new(None),
            poll_thread: None,
        };
        let of_poller = Arc::clone(&shared);
        let poll_thread = supervisor.spawn("http-poller", move || poll_loop::run(&of_poller));
        server.poll_thread = Some(poll_thread.map_err(StartError::Resources)?);
        let tls = config.tls.map(|tls| tls.context());
        let acceptor = Acceptor::new(listener, stop_accepting, shared, admission, tls);
        let acceptor = supervisor.spawn("http-acceptor", move || acceptor.run());
        *lock(&server.acceptor) = Some(acceptor.map_err(StartError::Resources)?);
        Ok(server)
    }

    /// The address that is listened on, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listening socket: new clients are refused by the kernel.
    pub(crate) fn stop_accepting(&self) {
        // Fails only when the counter is at its end, and then the acceptor has been told.
        let _ = self.stop_accepting.write(1);
        drop(lock(&self.acceptor).take());
    }

    /// Stops accepting, closes idle connections, and lets requests finish, each with
    /// `Connection: close`. At `deadline` what is left is cut, sockets shut down and handlers
    /// told that their clients are gone; false then.
    pub fn drain(&self, deadline: Instant) -> bool {
        self.stop_accepting();
        self.shared.drain();
        let finished = self.shared.poller.wait_empty(deadline);
        if !finished {
            self.shared.poller.close_all();
        }
        finished
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_accepting();
        self.shared.drain();
        self.shared.poller.close_all();
        // The poller's thread still runs: it is what wakes a handler whose client is gone.
        self.shared.dispatcher.close_and_join();
        self.shared.stop_poller();
        drop(self.poll_thread.take());
        // What a worker or the poller's thread had in its hands has been closed on the way.
        self.shared.poller.close_all();
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    // Sets SO_REUSEADDR: a restarted daemon does not wait for the old one's TIME_WAIT.
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    // Accepted sockets inherit these on Linux, at no cost per connection.
    setsockopt(&listener, sockopt::TcpNoDelay, &true)?;
    setsockopt(&listener, sockopt::KeepAlive, &true)?;
    setsockopt(&listener, sockopt::TcpKeepIdle, &KEEPALIVE_IDLE_S)?;
    setsockopt(&listener, sockopt::TcpKeepInterval, &KEEPALIVE_INTERVAL_S)?;
    setsockopt(&listener, sockopt::TcpKeepCount, &KEEPALIVE_PROBES)?;
    // listen(2) once more: std asks for a backlog of 128.
    listen(&listener, Backlog::new(BACKLOG)?)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_sockets_inherit_what_the_listener_was_given() {
        let listener = bind("127.0.0.1:0".parse().expect("address")).expect("bind");
        let address = listener.local_addr().expect("bound");
        let _client = std::net::TcpStream::connect(address).expect("connect");
        let (accepted, _) = listener.accept().expect("a completed connection is there");
        assert!(accepted.nodelay().expect("a socket option"));
        let idle = nix::sys::socket::getsockopt(&accepted, sockopt::TcpKeepIdle);
        assert_eq!(idle, Ok(KEEPALIVE_IDLE_S));
    }
}
