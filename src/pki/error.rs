//! What can go wrong with keys and certificates. Every text names the file and what to do.

use std::io;
use std::path::PathBuf;

use openssl::error::ErrorStack;
use thiserror::Error;

use crate::base::atomic_file::FileError;

#[derive(Debug, Error)]
pub enum PkiError {
    /// A directory or file could not be made or replaced.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// One half of a pair is there without the other.
    #[error("{} is there but {} is missing; {remedy}", present.display(), missing.display())]
    Half {
        /// The half that is there.
        present: PathBuf,
        /// The half that is not.
        missing: PathBuf,
        remedy: &'static str,
    },
    /// There is no CA, but something that only a CA can have made.
    #[error(
        "{} was made by a CA that is gone ({} is missing); restore the CA's two files from a \
         backup, or move the whole directory away and enrol every agent again", found.display(), missing.display()
    )]
    Orphaned {
        /// The trace.
        found: PathBuf,
        /// Where the CA's certificate would be.
        missing: PathBuf,
    },
    /// A file is there and holds something else.
    #[error("{} does not hold {expected}; {remedy}", path.display())]
    Unreadable {
        path: PathBuf,
        /// A PEM certificate, a PEM private key and so on.
        expected: &'static str,
        remedy: &'static str,
        /// What the parser found, if it was the parser.
        #[source]
        source: Option<ErrorStack>,
    },
    /// Key and certificate belong to different pairs.
    #[error("{} is not the key of {}; {remedy}", key.display(), certificate.display())]
    Mismatch {
        /// The private key.
        key: PathBuf,
        certificate: PathBuf,
        remedy: &'static str,
    },
    /// The CA's time is over.
    #[error(
        "{} expired at {not_after}; every certificate under it is void: move the directory away \
         and enrol every agent again", path.display()
    )]
    Expired {
        path: PathBuf,
        /// As OpenSSL writes it.
        not_after: String,
    },
    /// The CA's time has not come.
    #[error("{} is not valid before {not_before}; check this machine's clock", path.display())]
    NotYetValid {
        path: PathBuf,
        /// As OpenSSL writes it.
        not_before: String,
    },
    /// A request for a certificate is refused.
    #[error("certificate request: {reason}")]
    Request { reason: &'static str },
    /// OpenSSL failed at something that does not depend on input.
    #[error("cannot {action}")]
    Crypto {
        /// What was tried.
        action: &'static str,
        /// OpenSSL's reasons.
        #[source]
        source: ErrorStack,
    },
}

impl PkiError {
    pub(super) fn crypto(action: &'static str) -> impl FnOnce(ErrorStack) -> PkiError {
        move |source| PkiError::Crypto { action, source }
    }
}
