//! From an address to a connection that has shaken hands, within a bound.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use openssl::ssl::{Ssl, SslRef};
use thiserror::Error;

use super::session::SessionError;
use super::transport::{Opening, Transport, TransportError};
use crate::rpc::address::Address;

/// Read at a time: a flight of a handshake.
const FLIGHT_BYTES: usize = 16 << 10;

/// Why there is no connection.
#[derive(Debug, Error)]
pub(in crate::rpc) enum DialError {
    /// Nobody listens, the name is unknown, the time is over.
    #[error("no connection could be made")]
    Connect(#[source] io::Error),
    /// The connection broke during its handshake, or that took too long.
    #[error("the connection broke during its handshake")]
    Broke(#[source] io::Error),
    /// The handshake failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// nghttp2 could not be set up.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The certificate that it shows is another's.
    #[error("the other end is not {expected}")]
    OtherName {
        /// As it stands in certificates.
        expected: String,
    },
    /// The other end speaks another protocol.
    #[error("the other end does not speak HTTP/2")]
    Protocol,
}

/// Connects to the first of an address's machines that answers.
pub(in crate::rpc) fn connect(
    address: &Address,
    deadline: Instant,
) -> Result<TcpStream, DialError> {
    let (host, port) = address.host_and_port();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let resolved = (host.as_str(), port).to_socket_addrs();
    let resolved: Vec<_> = resolved.map_err(DialError::Connect)?.collect();
    for (tried, address) in resolved.iter().enumerate() {
        // One that swallows what is sent to it leaves the others their share of the time.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / (resolved.len() - tried) as u32;
        match connect_one(address, Instant::now() + share) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(DialError::Connect(last))
}

fn connect_one(address: &SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(address, left(deadline)?)?;
    prepare(&socket)?;
    Ok(socket)
}

/// What holds for sockets of both ends.
pub(in crate::rpc) fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)
}

/// Shakes hands as that end. What came right behind the handshake stays in the transport.
pub(in crate::rpc) fn shake_hands(
    socket: &TcpStream,
    ssl: Option<Ssl>,
    opening: Opening,
    deadline: Instant,
) -> Result<Transport, DialError> {
    socket.set_nonblocking(true).map_err(DialError::Broke)?;
    let Some(ssl) = ssl else {
        return Ok(Transport::Plain);
    };
    let mut transport = Transport::tls(ssl)?;
    let mut arrival = vec![0; FLIGHT_BYTES];
    let mut count = 0;
    loop {
        let result = transport.shake_hands(opening, &arrival[..count]);
        let mut flight = Vec::new();
        transport.take_sealed(&mut flight);
        // Also when it failed: the alert says why.
        let sent = send_all(socket, &flight, deadline);
        if result? {
            sent.map_err(DialError::Broke)?;
            return Ok(transport);
        }
        sent.map_err(DialError::Broke)?;
        count = receive(socket, &mut arrival, deadline).map_err(DialError::Broke)?;
    }
}

/// What a client says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Waits until a client without TLS has begun to speak HTTP/2; what it said.
pub(in crate::rpc) fn receive_preface(
    socket: &TcpStream,
    deadline: Instant,
) -> Result<Vec<u8>, DialError> {
    let mut preface = vec![0; PREFACE.len()];
    let mut filled = 0;
    while filled < preface.len() {
        let received = receive(socket, &mut preface[filled..], deadline);
        filled += received.map_err(DialError::Broke)?;
        if preface[..filled] != PREFACE[..filled] {
            return Err(DialError::Protocol);
        }
    }
    Ok(preface)
}

/// Both ends have agreed on HTTP/2.
pub(in crate::rpc) fn speaks_http2(ssl: &SslRef) -> bool {
    ssl.selected_alpn_protocol() == Some(b"h2")
}

fn send_all(mut socket: &TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(socket, PollFlags::POLLOUT, deadline)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn receive(mut socket: &TcpStream, bytes: &mut [u8], deadline: Instant) -> io::Result<usize> {
    use std::io::Read;
    loop {
        match socket.read(bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(socket, PollFlags::POLLIN, deadline)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn wait(socket: &TcpStream, interest: PollFlags, deadline: Instant) -> io::Result<()> {
    let mut fds = [PollFd::new(socket.as_fd(), interest)];
    let timeout = PollTimeout::try_from(left(deadline)?).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    Some(deadline.saturating_duration_since(Instant::now()))
        .filter(|left| *left >= Duration::from_millis(1))
        .ok_or_else(|| io::ErrorKind::TimedOut.into())
}
