//! What either end shows and trusts. Checked when it is made: the gRPC library takes broken PEM
//! silently and fails every handshake later, and ends the process over a NUL.

use std::fmt;
use std::sync::Mutex;

use grpcio::{
    CertificateRequestType, ChannelCredentials, ChannelCredentialsBuilder, ServerCredentials,
    ServerCredentialsBuilder, ServerCredentialsFetcher,
};
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::x509::X509;
use thiserror::Error;

use crate::base::threads::lock;

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
    /// A byte that no PEM holds, and that would cut it short.
    #[error("the {part} contains a NUL")]
    Nul {
        /// `CA certificate`, `certificate` or `key`.
        part: &'static str,
    },
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
        let parts = [
            ("CA certificate", ca),
            ("certificate", certificate),
            ("key", key),
        ];
        for (part, bytes) in parts {
            if bytes.contains(&0) {
                return Err(InvalidIdentity::Nul { part });
            }
        }
        Ok(TlsIdentity {
            ca: ca.to_owned(),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })
    }

    pub(super) fn ca(&self) -> &[u8] {
        &self.ca
    }

    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn channel_credentials(&self) -> ChannelCredentials {
        ChannelCredentialsBuilder::new()
            .root_cert(self.ca.clone())
            .cert(self.certificate.clone(), self.key.clone())
            .build()
    }
}

/// A server's identity, which can be replaced while it serves: connections made from then on see
/// the new one.
#[derive(Debug)]
pub struct ServerIdentity {
    // Taken by the next connection; the library keeps what it was given before.
    pending: Mutex<Option<TlsIdentity>>,
}

impl ServerIdentity {
    /// To start with.
    pub fn new(identity: TlsIdentity) -> ServerIdentity {
        ServerIdentity {
            pending: Mutex::new(Some(identity)),
        }
    }

    /// For connections made from now on.
    pub fn replace(&self, identity: TlsIdentity) {
        *lock(&self.pending) = Some(identity);
    }
}

struct Fetcher(std::sync::Arc<ServerIdentity>);

impl ServerCredentialsFetcher for Fetcher {
    fn fetch(&self) -> Result<Option<ServerCredentialsBuilder>, Box<dyn std::error::Error>> {
        Ok(lock(&self.0.pending).take().map(|identity| {
            ServerCredentialsBuilder::new()
                .root_cert(
                    identity.ca,
                    CertificateRequestType::RequestAndRequireClientCertificateAndVerify,
                )
                .add_cert(identity.certificate, identity.key)
        }))
    }
}

/// Clients must show a certificate under the same CA.
pub(super) fn server_credentials(identity: std::sync::Arc<ServerIdentity>) -> ServerCredentials {
    ServerCredentials::with_fetcher(
        Box::new(Fetcher(identity)),
        CertificateRequestType::RequestAndRequireClientCertificateAndVerify,
    )
}
