//! TLS of the HTTP requests that Flux makes itself.

use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

/// OpenSSL, as everywhere in Flux, and the authorities that the system trusts. To be given to
/// every ureq agent: the library's own default is a provider that is not built in, and meeting an
/// `https` URL it panics.
pub(crate) fn system_tls() -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::NativeTls)
        .root_certs(RootCerts::PlatformVerifier)
        .build()
}
