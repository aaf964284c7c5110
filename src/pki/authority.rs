//! The CA and the control plane's own certificate, opened or made at start.
//!
//! Refuses to start over anything half, foreign, expired or unreadable: see [`PkiError`]. A CA
//! is made only where neither it nor anything that it could have signed is there.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKeyRef, Private, Public};
use openssl::x509::{X509, X509Ref};

use super::error::PkiError;
use super::issue::{Csr, Role, create_ca, dns_names, generate_key, issue_leaf, public_half};
use super::layout::{Layout, PairPaths};
use super::material::{CERTIFICATE_MODE, DIRECTORY_MODE, KEY_MODE, Pair, PairPem, load, store_new};
use super::token::Fingerprint;
use crate::base::atomic_file::{self, FileError};
use crate::model::ids::AgentId;
use crate::wire::names::{CONTROL_NAME, agent_name};

/// A leaf that ends within this many days is made anew at start; daemons are restarted for
/// upgrades more often than once a quarter.
const RENEW_WITHIN_DAYS: u32 = 90;

const CA_REMEDY: &str = "restore the CA's two files from a backup, or move the whole directory \
                         away and enrol every agent again";
const CONTROL_REMEDY: &str = "move the flux directory away and Flux makes a new pair under the \
                              same CA";

/// A certificate, its key, and the CA that both ends trust; all PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate of the authority.
    pub ca: Vec<u8>,
    /// The holder's certificate.
    pub certificate: Vec<u8>,
    /// The holder's private key.
    pub key: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The fleet's CA, with the control plane's own certificate, on disk and in memory.
pub struct Authority {
    layout: Layout,
    ca: Pair,
    control: Identity,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Opens what is under `certs_dir`, and makes what a first start lacks. A first start that
    /// was killed at any point is completed by the next one.
    ///
    /// # Errors
    /// The file that is in the way, and what to do about it.
    pub fn open_or_create(certs_dir: &Path) -> Result<Authority, PkiError> {
        let layout = Layout::new(certs_dir);
        atomic_file::create_directory(layout.root(), DIRECTORY_MODE)?;
        let ca = open_or_create_ca(&layout)?;
        let ca_pem = certificate_pem(&ca.certificate)?;
        let control = open_or_create_control(&layout, &ca, ca_pem)?;
        Ok(Authority {
            layout,
            ca,
            control,
        })
    }

    /// What the control plane shows to agents.
    pub fn control(&self) -> &Identity {
        &self.control
    }

    /// Where everything lies.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The CA's certificate, PEM.
    pub(crate) fn ca_pem(&self) -> &[u8] {
        &self.control.ca
    }

    /// SHA-256 of the CA's certificate, as it stands in enrolment tokens.
    ///
    /// # Errors
    /// OpenSSL's reasons.
    pub(crate) fn fingerprint(&self) -> Result<Fingerprint, PkiError> {
        fingerprint(&self.ca.certificate)
    }

    /// Signs an agent's key and keeps the certificate under the agent's id. Whoever calls this
    /// has made sure that the requester may have that id. Answers the certificate, PEM.
    ///
    /// # Errors
    /// OpenSSL's reasons, or the disk's.
    pub(crate) fn issue_agent(&self, id: &AgentId, request: &Csr) -> Result<Vec<u8>, PkiError> {
        let paths = self.layout.agent(id);
        let certificate = self.sign_agent(id, request.key())?;
        let pem = certificate_pem(&certificate)?;
        atomic_file::create_directory(&self.layout.agents(), DIRECTORY_MODE)?;
        atomic_file::create_directory(&paths.directory, DIRECTORY_MODE)?;
        atomic_file::write(&paths.certificate, &pem, CERTIFICATE_MODE)?;
        Ok(pem)
    }

    /// Makes an agent's key as well: for an agent on this machine, or one that Flux sets up.
    /// The key of an earlier call is kept, and its certificate renewed.
    ///
    /// # Errors
    /// OpenSSL's reasons, or the disk's.
    pub fn issue_agent_with_key(&self, id: &AgentId) -> Result<Identity, PkiError> {
        let paths = self.layout.agent(id);
        atomic_file::create_directory(&self.layout.agents(), DIRECTORY_MODE)?;
        atomic_file::create_directory(&paths.directory, DIRECTORY_MODE)?;
        let key = match fs::read(&paths.key) {
            Ok(pem) => openssl::pkey::PKey::private_key_from_pem(&pem).map_err(|source| {
                PkiError::Unreadable {
                    path: paths.key.clone(),
                    expected: "a PEM private key",
                    remedy: "remove it and a new one is made",
                    source: Some(source),
                }
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = generate_key()?;
                atomic_file::write(&paths.key, &key_pem(&key)?, KEY_MODE)?;
                key
            }
            Err(source) => {
                return Err(PkiError::Read {
                    path: paths.key,
                    source,
                });
            }
        };
        let public = public_half(&key)?;
        let signed = self.sign_agent(id, &public)?;
        let certificate = certificate_pem(&signed)?;
        atomic_file::write(&paths.certificate, &certificate, CERTIFICATE_MODE)?;
        Ok(Identity {
            ca: self.control.ca.clone(),
            certificate,
            key: key_pem(&key)?,
        })
    }

    fn sign_agent(&self, id: &AgentId, key: &PKeyRef<Public>) -> Result<X509, PkiError> {
        issue_leaf(&self.ca, key, id.as_str(), &agent_name(id), Role::Server)
    }
}

pub(super) fn fingerprint(certificate: &X509Ref) -> Result<Fingerprint, PkiError> {
    let digest = certificate
        .digest(MessageDigest::sha256())
        .map_err(PkiError::crypto("hash a certificate"))?;
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&digest);
    Ok(Fingerprint::from_sha256(bytes))
}

pub(super) fn certificate_pem(certificate: &X509Ref) -> Result<Vec<u8>, PkiError> {
    certificate
        .to_pem()
        .map_err(PkiError::crypto("encode a certificate"))
}

pub(super) fn key_pem(key: &PKeyRef<Private>) -> Result<Vec<u8>, PkiError> {
    key.private_key_to_pem_pkcs8()
        .map_err(PkiError::crypto("encode a key"))
}

fn open_or_create_ca(layout: &Layout) -> Result<Pair, PkiError> {
    let paths = layout.ca();
    if let Some(ca) = load(&paths, CA_REMEDY)? {
        check_ca(&paths, &ca)?;
        return Ok(ca);
    }
    if let Some(found) = trace_of_a_ca(layout)? {
        return Err(PkiError::Orphaned {
            found,
            missing: paths.certificate,
        });
    }
    let ca = create_ca(generate_key()?)?;
    store_new(&paths, &pem(&ca)?)?;
    log::info!("made a new CA: {}", paths.certificate.display());
    Ok(ca)
}

fn check_ca(paths: &PairPaths, ca: &Pair) -> Result<(), PkiError> {
    let path = || paths.certificate.clone();
    // RFC 5280, 4.2.1.3: keyCertSign, bit 5; a CA without key usage is an old one and allowed.
    let may_sign = ca
        .certificate
        .key_usage()
        .is_none_or(|usage| usage.contains(openssl::x509::X509KeyUsage::KEY_CERT_SIGN));
    let is_self_signed = ca
        .certificate
        .verify(&ca.key)
        .map_err(PkiError::crypto("check the CA's signature"))?;
    if !may_sign || !is_self_signed {
        return Err(PkiError::Unreadable {
            path: path(),
            expected: "the certificate of a CA",
            remedy: CA_REMEDY,
            source: None,
        });
    }
    if is_past(ca.certificate.not_after(), 0)? {
        return Err(PkiError::Expired {
            path: path(),
            not_after: ca.certificate.not_after().to_string(),
        });
    }
    if !is_past(ca.certificate.not_before(), 0)? {
        return Err(PkiError::NotYetValid {
            path: path(),
            not_before: ca.certificate.not_before().to_string(),
        });
    }
    Ok(())
}

/// Something that only a CA that once was here can have made.
fn trace_of_a_ca(layout: &Layout) -> Result<Option<PathBuf>, PkiError> {
    let control = layout.control();
    for path in [control.certificate, control.key] {
        if path.exists() {
            return Ok(Some(path));
        }
    }
    let agents = layout.agents();
    match fs::read_dir(&agents) {
        Ok(mut entries) => match entries.next() {
            Some(entry) => entry
                .map(|entry| Some(entry.path()))
                .map_err(|error| FileError::at("list", &agents)(error).into()),
            None => Ok(None),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::at("list", &agents)(error).into()),
    }
}

fn open_or_create_control(
    layout: &Layout,
    ca: &Pair,
    ca_pem: Vec<u8>,
) -> Result<Identity, PkiError> {
    let paths = layout.control();
    let control = match load(&paths, CONTROL_REMEDY)? {
        Some(control) if is_current(&control.certificate, ca)? => control,
        Some(stale) => {
            // The key stays: replacing one file is atomic, replacing two is not.
            let renewed = issue_control(ca, stale.key)?;
            let pem = certificate_pem(&renewed.certificate)?;
            atomic_file::write(&paths.certificate, &pem, CERTIFICATE_MODE)?;
            log::info!("renewed {}", paths.certificate.display());
            renewed
        }
        None => {
            let control = issue_control(ca, generate_key()?)?;
            store_new(&paths, &pem(&control)?)?;
            control
        }
    };
    let pem = pem(&control)?;
    Ok(Identity {
        ca: ca_pem,
        certificate: pem.certificate,
        key: pem.key,
    })
}

fn issue_control(ca: &Pair, key: openssl::pkey::PKey<Private>) -> Result<Pair, PkiError> {
    let public = public_half(&key)?;
    let certificate = issue_leaf(ca, &public, CONTROL_NAME, CONTROL_NAME, Role::Client)?;
    Ok(Pair { certificate, key })
}

/// Ours, by this CA, and not about to end.
fn is_current(certificate: &X509Ref, ca: &Pair) -> Result<bool, PkiError> {
    let is_ours = certificate.verify(&ca.key).map_err(PkiError::crypto(
        "check the control certificate's signature",
    ))?;
    Ok(is_ours
        && dns_names(certificate) == [CONTROL_NAME]
        && !is_past(certificate.not_after(), RENEW_WITHIN_DAYS)?)
}

fn is_past(time: &openssl::asn1::Asn1TimeRef, in_days: u32) -> Result<bool, PkiError> {
    Asn1Time::days_from_now(in_days)
        .and_then(|then| time.compare(&then))
        .map(std::cmp::Ordering::is_lt)
        .map_err(PkiError::crypto("compare times"))
}

fn pem(pair: &Pair) -> Result<PairPem, PkiError> {
    Ok(PairPem {
        certificate: certificate_pem(&pair.certificate)?,
        key: key_pem(&pair.key)?,
    })
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
