//! The TLS side of a listener: version, certificate, and what each session may cost.

use std::path::{Path, PathBuf};

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    SslAcceptor, SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslVersion,
};
use openssl::x509::X509;

/// A certificate chain with its key, checked to belong together.
#[derive(Clone)]
pub struct TlsConfig {
    context: SslContext,
}

/// Why a certificate or its key cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("cannot read {path:?}")]
    Read {
        /// As in the configuration.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// No certificate in the PEM text.
    #[error("the PEM text holds no certificate")]
    NoCertificate,
    /// PEM that is none, a key that does not fit, a context that cannot be made.
    #[error("the certificate and key cannot be used")]
    Rejected(#[from] ErrorStack),
}

impl TlsConfig {
    /// From PEM texts: the leaf certificate first, then its issuers; and an unencrypted key.
    ///
    /// # Errors
    /// [`TlsError::NoCertificate`]; [`TlsError::Rejected`] when either text is not PEM or the
    /// key is not the certificate's.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<TlsConfig, TlsError> {
        // Mozilla's "intermediate" profile: TLS 1.2 and 1.3, forward secrecy only.
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        // A client must not make us handshake again and again on one connection.
        builder.set_options(SslOptions::NO_RENEGOTIATION);
        // The default keeps 20,480 sessions in memory, which strangers could fill.
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        let mut certificates = X509::stack_from_pem(chain)?.into_iter();
        let leaf = certificates.next().ok_or(TlsError::NoCertificate)?;
        builder.set_certificate(&leaf)?;
        for issuer in certificates {
            builder.add_extra_chain_cert(issuer)?;
        }
        let key = PKey::private_key_from_pem_callback(key, |_| Ok(0))?;
        builder.set_private_key(&key)?;
        builder.check_private_key()?;
        Ok(TlsConfig {
            context: builder.build().into_context(),
        })
    }

    /// As [`TlsConfig::from_pem`], from files.
    ///
    /// # Errors
    /// Also [`TlsError::Read`], with the path.
    pub fn from_files(chain: &Path, key: &Path) -> Result<TlsConfig, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::Read {
                path: path.to_owned(),
                source,
            })
        };
        TlsConfig::from_pem(&read(chain)?, &read(key)?)
    }

    pub(super) fn context(&self) -> SslContext {
        self.context.clone()
    }
}

impl std::fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConfig")
    }
}
