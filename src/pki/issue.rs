//! Making keys and certificates. Nothing here touches the disk.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, PKeyRef, Private, Public};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameRef, X509Ref, X509Req};

use crate::base::clock::Clock;

use super::error::PkiError;
use super::material::Pair;

/// Of the CA. Replacing it means enrolling every agent again.
pub(crate) const CA_LIFETIME_DAYS: u32 = 3650;
/// Of the control plane's and of the agents' certificates.
pub(crate) const LEAF_LIFETIME_DAYS: u32 = 365;

const CA_COMMON_NAME: &str = "Flux CA";
/// Certificates count from an hour ago: the machine that checks one may have a slower clock.
const CLOCK_SKEW_SECONDS: i64 = 3600;
const SECONDS_PER_DAY: i64 = 86_400;
/// RFC 5280 allows 20 bytes with the top bit clear; 127 bits cannot collide by chance.
const SERIAL_BITS: i32 = 127;
/// An ECDSA request is about 500 bytes; the bound is for what strangers send.
const MAX_CSR_BYTES: usize = 16 * 1024;
/// NIST SP 800-57: 112 bits is RSA 2048 and the least that is still acceptable.
const MIN_SECURITY_BITS: u32 = 112;

/// What a leaf certificate is valid as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Agents.
    Server,
    /// The control plane.
    Client,
}

/// A request for a certificate: well-formed, signed by its own key, and of a strong enough key.
/// The names in it are never looked at.
pub(crate) struct Csr {
    key: PKey<Public>,
}

impl std::fmt::Debug for Csr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csr").finish_non_exhaustive()
    }
}

impl Csr {
    /// # Errors
    /// [`PkiError::Request`] with what is wrong.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Csr, PkiError> {
        let refuse = |reason| move |_: ErrorStack| PkiError::Request { reason };
        if pem.len() > MAX_CSR_BYTES {
            return Err(PkiError::Request {
                reason: "it is over 16 KiB",
            });
        }
        let request = X509Req::from_pem(pem).map_err(refuse("it is no PEM certificate request"))?;
        let key = request
            .public_key()
            .map_err(refuse("its public key cannot be read"))?;
        let is_signed = request
            .verify(&key)
            .map_err(refuse("its signature cannot be checked"))?;
        if !is_signed {
            return Err(PkiError::Request {
                reason: "it is not signed by its own key",
            });
        }
        if key.security_bits() < MIN_SECURITY_BITS {
            return Err(PkiError::Request {
                reason: "its key is too weak: expected ECDSA P-256 or at least RSA 2048",
            });
        }
        Ok(Csr { key })
    }

    pub(super) fn key(&self) -> &PKeyRef<Public> {
        &self.key
    }
}

/// A fresh ECDSA P-256 key.
pub(super) fn generate_key() -> Result<PKey<Private>, PkiError> {
    EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
        .and_then(|group| EcKey::generate(&group))
        .and_then(PKey::from_ec_key)
        .map_err(PkiError::crypto("generate a key"))
}

/// A self-signed CA that may sign leaves and no further CA.
pub(super) fn create_ca(key: PKey<Private>) -> Result<Pair, PkiError> {
    let certificate = build_ca(&key).map_err(PkiError::crypto("sign the CA certificate"))?;
    Ok(Pair { certificate, key })
}

/// A leaf under `ca`, for whoever has the private half of `key`.
pub(super) fn issue_leaf(
    ca: &Pair,
    key: &PKeyRef<Public>,
    common_name: &str,
    dns_name: &str,
    role: Role,
) -> Result<X509, PkiError> {
    build_leaf(ca, key, common_name, dns_name, role).map_err(PkiError::crypto("sign a certificate"))
}

/// The public half.
pub(super) fn public_half(key: &PKeyRef<Private>) -> Result<PKey<Public>, PkiError> {
    key.public_key_to_pem()
        .and_then(|pem| PKey::public_key_from_pem(&pem))
        .map_err(PkiError::crypto("read a public key"))
}

/// A request signed by `key`, which must be one of [`generate_key`].
pub(super) fn create_request(
    key: &PKeyRef<Private>,
    common_name: &str,
) -> Result<Vec<u8>, PkiError> {
    let build = || {
        let mut builder = X509Req::builder()?;
        builder.set_version(0)?;
        builder.set_subject_name(name(common_name)?.as_ref())?;
        builder.set_pubkey(key)?;
        builder.sign(key, MessageDigest::sha256())?;
        builder.build().to_pem()
    };
    build().map_err(PkiError::crypto("sign a certificate request"))
}

/// The DNS names of a certificate.
pub(super) fn dns_names(certificate: &X509Ref) -> Vec<String> {
    certificate
        .subject_alt_names()
        .map(|names| {
            names
                .iter()
                .filter_map(|name| name.dnsname().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default()
}

fn build_ca(key: &PKeyRef<Private>) -> Result<X509, ErrorStack> {
    let subject = name(CA_COMMON_NAME)?;
    let mut builder = unsigned(&subject, &subject, CA_LIFETIME_DAYS)?;
    builder.set_pubkey(key)?;
    builder.append_extension(BasicConstraints::new().critical().ca().pathlen(0).build()?)?;
    builder.append_extension(
        KeyUsage::new()
            .critical()
            .key_cert_sign()
            .crl_sign()
            .build()?,
    )?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn build_leaf(
    ca: &Pair,
    key: &PKeyRef<Public>,
    common_name: &str,
    dns_name: &str,
    role: Role,
) -> Result<X509, ErrorStack> {
    let subject = name(common_name)?;
    let mut builder = unsigned(&subject, ca.certificate.subject_name(), LEAF_LIFETIME_DAYS)?;
    builder.set_pubkey(key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    let mut usage = ExtendedKeyUsage::new();
    match role {
        Role::Server => usage.server_auth(),
        Role::Client => usage.client_auth(),
    };
    builder.append_extension(usage.build()?)?;
    let context = builder.x509v3_context(Some(&ca.certificate), None);
    let names = SubjectAlternativeName::new()
        .dns(dns_name)
        .build(&context)?;
    let own = SubjectKeyIdentifier::new().build(&context)?;
    // A CA that another program made may have no identifier to point to.
    let issuer = ca
        .certificate
        .subject_key_id()
        .map(|_| AuthorityKeyIdentifier::new().keyid(true).build(&context))
        .transpose()?;
    for extension in [Some(names), Some(own), issuer].into_iter().flatten() {
        builder.append_extension(extension)?;
    }
    builder.sign(&ca.key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn unsigned(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    days: u32,
) -> Result<X509Builder, ErrorStack> {
    // OpenSSL checks validity by the system's clock too, whoever simulates another.
    let now = Clock::system().now().as_millis() / 1000;
    let not_before = Asn1Time::from_unix(now - CLOCK_SKEW_SECONDS)?;
    let not_after = Asn1Time::from_unix(now + i64::from(days) * SECONDS_PER_DAY)?;
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    // X.509 version 3 counts from zero.
    builder.set_version(2)?;
    builder.set_serial_number(Asn1Integer::from_bn(&serial)?.as_ref())?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_not_before(&not_before)?;
    builder.set_not_after(&not_after)?;
    Ok(builder)
}

fn name(common_name: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509Name::builder()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, common_name)?;
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_must_be_signed_by_its_own_strong_key() {
        let (own, other) = (generate_key().expect("key"), generate_key().expect("key"));
        let pem = create_request(&own, "a").expect("request");
        assert!(Csr::from_pem(&pem).is_ok());

        let mut foreign = X509Req::builder().expect("builder");
        foreign.set_pubkey(&own).expect("key");
        foreign.sign(&other, MessageDigest::sha256()).expect("sign");
        let foreign = foreign.build().to_pem().expect("pem");
        let error = Csr::from_pem(&foreign).expect_err("foreign signature");
        assert!(error.to_string().contains("own key"), "{error}");

        let rsa = openssl::rsa::Rsa::generate(1024).expect("rsa");
        let weak = PKey::from_rsa(rsa).expect("key");
        let weak = create_request(&weak, "a").expect("request");
        let error = Csr::from_pem(&weak).expect_err("weak key");
        assert!(error.to_string().contains("too weak"), "{error}");

        for pem in [&b""[..], b"no pem", &[b'a'; MAX_CSR_BYTES + 1]] {
            assert!(Csr::from_pem(pem).is_err());
        }
    }

    #[test]
    fn serial_numbers_differ() {
        let ca = create_ca(generate_key().expect("key")).expect("ca");
        let key = public_half(&generate_key().expect("key")).expect("public");
        let serial = || {
            let leaf = issue_leaf(&ca, &key, "a", "a.example", Role::Server).expect("leaf");
            leaf.serial_number().to_bn().expect("number").to_vec()
        };
        assert_ne!(serial(), serial());
    }
}
