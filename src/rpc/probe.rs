//! Who serves at an address: a bare TLS handshake, from which the agent's id is read, because the
//! gRPC library wants to know a name before it dials.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{HandshakeError, SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509Ref};
use thiserror::Error;

use super::address::Address;
use super::error::RpcError;
use super::tls::TlsIdentity;
use crate::model::ids::AgentId;
use crate::wire::names::agent_of;

/// Why nobody could be identified.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// No connection, or it broke, or it took too long.
    #[error("cannot connect to {address}")]
    Connect {
        /// As it was asked for.
        address: Address,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// What answers does not speak TLS, or its certificate is not under our CA.
    #[error("no trusted agent answers at {address}: {reason}")]
    Untrusted {
        /// As it was asked for.
        address: Address,
        /// OpenSSL's reason.
        reason: String,
    },
    /// Its certificate is under our CA, but it is none of an agent.
    #[error("what answers at {address} has no certificate of an agent")]
    NoAgent {
        /// As it was asked for.
        address: Address,
    },
    /// The address is none, there is no identity to show, or a plain agent did not answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// OpenSSL failed before anything was sent.
    #[error("cannot prepare a TLS connection")]
    Prepare(#[from] ErrorStack),
}

/// Reads the id from the certificate of what serves at `address`, once its chain is verified.
///
/// # Errors
/// See [`ProbeError`]; all of it until `deadline`, but for resolving a name.
pub fn probe_identity(
    address: &Address,
    identity: &TlsIdentity,
    deadline: Instant,
) -> Result<AgentId, ProbeError> {
    let connector = connector(identity)?;
    let connect = |source| ProbeError::Connect {
        address: address.clone(),
        source,
    };
    let stream = connect_any(address, deadline).map_err(connect)?;
    let configuration = connector
        .configure()?
        .verify_hostname(false)
        .use_server_name_indication(false);
    let handshake = configuration.connect("", Bounded { stream, deadline });
    let stream = handshake.map_err(|error| refused(address, error))?;
    let certificate = stream.ssl().peer_certificate();
    certificate
        .and_then(|certificate| agent_in(&certificate))
        .ok_or_else(|| ProbeError::NoAgent {
            address: address.clone(),
        })
}

fn connector(identity: &TlsIdentity) -> Result<SslConnector, ErrorStack> {
    // Trusts our CA and nobody else's: not the system's store either.
    let mut trusted = X509StoreBuilder::new()?;
    trusted.add_cert(X509::from_pem(identity.ca())?)?;
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_cert_store(trusted.build());
    builder.set_verify(SslVerifyMode::PEER);
    builder.set_certificate(X509::from_pem(identity.certificate())?.as_ref())?;
    builder.set_private_key(PKey::private_key_from_pem(identity.key())?.as_ref())?;
    builder.set_alpn_protos(b"\x02h2")?;
    Ok(builder.build())
}

fn connect_any(address: &Address, deadline: Instant) -> io::Result<TcpStream> {
    let (host, port) = address.host_and_port();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for resolved in (host.as_str(), port).to_socket_addrs()? {
        match connect_one(&resolved, deadline) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect_one(address: &SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, left(deadline)?)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn refused(address: &Address, error: HandshakeError<Bounded>) -> ProbeError {
    let reason = match error {
        HandshakeError::SetupFailure(source) => return ProbeError::Prepare(source),
        HandshakeError::Failure(stream) | HandshakeError::WouldBlock(stream) => {
            match stream.into_error().into_io_error() {
                Ok(source) => {
                    return ProbeError::Connect {
                        address: address.clone(),
                        source,
                    };
                }
                // Has its cause in its text already.
                Err(error) => error.to_string(),
            }
        }
    };
    ProbeError::Untrusted {
        address: address.clone(),
        reason,
    }
}

/// Exactly one name, and an agent's.
fn agent_in(certificate: &X509Ref) -> Option<AgentId> {
    let names = certificate.subject_alt_names()?;
    let mut names = names.iter();
    match (names.next(), names.next()) {
        (Some(name), None) => agent_of(name.dnsname()?),
        _ => None,
    }
}

/// Gives every read and write what is left of the time: a peer that trickles cannot stretch it.
#[derive(Debug)]
struct Bounded {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl Write for Bounded {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(buffer).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A socket's timeout reads as "would block", which OpenSSL would take for "try again".
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    Some(deadline.saturating_duration_since(Instant::now()))
        .filter(|left| !left.is_zero())
        .ok_or_else(|| io::ErrorKind::TimedOut.into())
}
