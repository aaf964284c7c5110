//! Key pairs on disk: read whole and matching, or not at all; written so that a crash at any
//! point leaves no half.
//!
//! A new pair is written into a directory beside its place, which is then renamed there: rename(2)
//! is the one moment at which the pair comes to be. What a crash leaves before is never read,
//! and cleared by the next attempt.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::error::PkiError;
use super::layout::PairPaths;
use crate::base::atomic_file::{self, FileError};

pub(super) const KEY_MODE: u32 = 0o600;
pub(super) const CERTIFICATE_MODE: u32 = 0o644;
pub(super) const DIRECTORY_MODE: u32 = 0o700;

/// A certificate and its private key, checked to belong together.
pub(super) struct Pair {
    pub certificate: X509,
    pub key: PKey<Private>,
}

/// The two texts of a pair.
pub(super) struct PairPem {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

/// `None` when neither file is there.
pub(super) fn load(paths: &PairPaths, remedy: &'static str) -> Result<Option<Pair>, PkiError> {
    let (certificate, key) = match (read(&paths.certificate)?, read(&paths.key)?) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (certificate, _) => {
            let (present, missing) = match certificate {
                Some(_) => (&paths.certificate, &paths.key),
                None => (&paths.key, &paths.certificate),
            };
            return Err(PkiError::Half {
                present: present.clone(),
                missing: missing.clone(),
                remedy,
            });
        }
    };
    let certificate = parse_certificate(&paths.certificate, &certificate, remedy)?;
    let key = PKey::private_key_from_pem(&key).map_err(|source| PkiError::Unreadable {
        path: paths.key.clone(),
        expected: "a PEM private key",
        remedy,
        source: Some(source),
    })?;
    let of_certificate = certificate
        .public_key()
        .map_err(PkiError::crypto("read the certificate's public key"))?;
    if !of_certificate.public_eq(&key) {
        return Err(PkiError::Mismatch {
            key: paths.key.clone(),
            certificate: paths.certificate.clone(),
            remedy,
        });
    }
    Ok(Some(Pair { certificate, key }))
}

/// Puts a pair where there was none; see the module's text.
pub(super) fn store_new(paths: &PairPaths, pem: &PairPem) -> Result<(), PkiError> {
    let staging = staging(&paths.directory);
    match fs::remove_dir_all(&staging) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(FileError::at("clear", &staging)(error).into());
        }
        _ => {}
    }
    atomic_file::create_directory(&staging, DIRECTORY_MODE)?;
    let staged = paths.within(&staging);
    atomic_file::write(&staged.key, &pem.key, KEY_MODE)?;
    atomic_file::write(&staged.certificate, &pem.certificate, CERTIFICATE_MODE)?;
    // Replaces an empty directory, and fails on one that is not.
    fs::rename(&staging, &paths.directory).map_err(FileError::at("rename to", &paths.directory))?;
    if let Some(parent) = paths.directory.parent() {
        atomic_file::sync_directory(parent)?;
    }
    Ok(())
}

pub(super) fn load_certificate(
    path: &Path,
    remedy: &'static str,
) -> Result<Option<X509>, PkiError> {
    read(path)?
        .map(|pem| parse_certificate(path, &pem, remedy))
        .transpose()
}

pub(super) fn staging(directory: &Path) -> PathBuf {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    directory.with_file_name(format!(".new-{name}"))
}

fn parse_certificate(path: &Path, pem: &[u8], remedy: &'static str) -> Result<X509, PkiError> {
    X509::from_pem(pem).map_err(|source| PkiError::Unreadable {
        path: path.to_owned(),
        expected: "a PEM certificate",
        remedy,
        source: Some(source),
    })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, PkiError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PkiError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}
