//! What either end shows and trusts. Checked when it is made: later, it would fail every handshake.

use std::fmt;
use std::sync::Mutex;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    AlpnError, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef,
    SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use thiserror::Error;

use super::h2::dial::DialError;
use crate::base::threads::lock;
use crate::wire::names::CONTROL_NAME;

/// A certificate, its key, and the CA that the other end's certificate must be under; all PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Why three PEM texts make no identity.
#[derive(Debug, Error)]
pub enum InvalidIdentity {
    /// Not PEM of its kind.
    #[error("the {part} is no PEM {part}")]
    Pem {
        /// `CA certificate`, `certificate` or `key`.
        part: &'static str,
        /// What the parser found.
        #[source]
        source: ErrorStack,
    },
    /// The key belongs to another certificate.
    #[error("the key is not the key of the certificate")]
    Mismatch,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

impl TlsIdentity {
    /// # Errors
    /// See [`InvalidIdentity`].
    pub fn new(ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<TlsIdentity, InvalidIdentity> {
        let pem = |part| move |source| InvalidIdentity::Pem { part, source };
        X509::from_pem(ca).map_err(pem("CA certificate"))?;
        let of_certificate = X509::from_pem(certificate)
            .and_then(|certificate| certificate.public_key())
            .map_err(pem("certificate"))?;
        let private = PKey::private_key_from_pem(key).map_err(pem("key"))?;
        if !of_certificate.public_eq(&private) {
            return Err(InvalidIdentity::Mismatch);
        }
        Ok(TlsIdentity {
            ca: ca.to_owned(),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })
    }
}

/// What a client shows to one server, and who that has to be.
pub(super) struct ClientTls {
    context: SslContext,
    name: String,
}

impl ClientTls {
    /// `name` stands in the server's certificate.
    ///
    /// # Errors
    /// OpenSSL's.
    pub(super) fn new(identity: &TlsIdentity, name: String) -> Result<ClientTls, ErrorStack> {
        Ok(ClientTls {
            context: client_context(identity)?,
            name,
        })
    }

    /// As which the server is addressed.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// One connection, before its handshake.
    pub(super) fn begin(&self) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_hostname(&self.name)?;
        Ok(ssl)
    }

    /// After the handshake, which has verified the chain: whether it is the one that was meant.
    pub(super) fn check(&self, ssl: &SslRef) -> Result<(), DialError> {
        if names_of(ssl).contains(&self.name) {
            return Ok(());
        }
        Err(DialError::OtherName {
            expected: self.name.clone(),
        })
    }
}

/// One connection to whoever is there, before its handshake.
///
/// # Errors
/// OpenSSL's.
pub(super) fn unnamed(identity: &TlsIdentity) -> Result<Ssl, ErrorStack> {
    let context = client_context(identity)?;
    Ssl::new(&context)
}

fn client_context(identity: &TlsIdentity) -> Result<SslContext, ErrorStack> {
    let mut builder = context(identity)?;
    builder.set_verify(SslVerifyMode::PEER);
    builder.set_alpn_protos(ALPN)?;
    Ok(builder.build())
}

const ALPN: &[u8] = b"\x02h2";

/// The names in the certificate that the other end has shown; one that is no DNS name is empty.
pub(super) fn names_of(ssl: &SslRef) -> Vec<String> {
    let certificate = ssl.peer_certificate();
    let names = certificate.and_then(|certificate| certificate.subject_alt_names());
    let names = names.iter().flatten();
    names
        .map(|name| name.dnsname().unwrap_or_default().to_owned())
        .collect()
}

/// TLS 1.2 and 1.3 with what an end shows, and the one authority that it trusts: not the system's.
fn context(identity: &TlsIdentity) -> Result<SslContextBuilder, ErrorStack> {
    let mut trusted = X509StoreBuilder::new()?;
    trusted.add_cert(X509::from_pem(&identity.ca)?)?;
    let mut builder = SslContext::builder(SslMethod::tls())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION);
    builder.set_cert_store(trusted.build());
    builder.set_certificate(X509::from_pem(&identity.certificate)?.as_ref())?;
    builder.set_private_key(PKey::private_key_from_pem(&identity.key)?.as_ref())?;
    Ok(builder)
}

/// A server's identity, which can be replaced while it serves: connections made from then on see
/// the new one.
#[derive(Debug)]
pub struct ServerIdentity {
    current: Mutex<TlsIdentity>,
    context: Mutex<Option<ServerContext>>,
}

struct ServerContext(SslContext);

impl fmt::Debug for ServerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerContext")
    }
}

impl ServerIdentity {
    /// To start with.
    pub fn new(identity: TlsIdentity) -> ServerIdentity {
        ServerIdentity {
            current: Mutex::new(identity),
            context: Mutex::default(),
        }
    }

    /// For connections made from now on.
    pub fn replace(&self, identity: TlsIdentity) {
        *lock(&self.current) = identity;
        *lock(&self.context) = None;
    }

    /// One connection, before its handshake. Clients must show a certificate under the same CA.
    pub(super) fn begin(&self) -> Result<Ssl, ErrorStack> {
        let mut context = lock(&self.context);
        let current = match &*context {
            Some(current) => current,
            None => context.insert(ServerContext(server_context(&lock(&self.current))?)),
        };
        Ssl::new(&current.0)
    }
}

fn server_context(identity: &TlsIdentity) -> Result<SslContext, ErrorStack> {
    let mut builder = context(identity)?;
    builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    // No session outlives its connection, nor a certificate its time by one.
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_options(SslOptions::NO_TICKET);
    builder.set_num_tickets(0)?;
    builder.set_session_id_context(b"flux")?;
    builder.set_alpn_select_callback(|_, offered| {
        openssl::ssl::select_next_proto(ALPN, offered)
            .filter(|chosen| *chosen == b"h2")
            .ok_or(AlpnError::ALERT_FATAL)
    });
    Ok(builder.build())
}

/// Whether the certificate that a client has shown is the control plane's and nothing else.
pub(super) fn is_control(ssl: &SslRef) -> bool {
    names_of(ssl) == [CONTROL_NAME]
}
