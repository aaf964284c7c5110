//! What can go wrong with a database file, told apart as far as an operator can act on it.
//!
//! Cloneable, because one failed commit is the answer to every write of its batch.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::base::atomic_file::FileError;

/// Why a database could not be opened, read or written.
#[derive(Debug, Clone, Error)]
pub enum SqliteError {
    /// Some other file lies where the database should be.
    #[error(
        "cannot open {path}: it is {found}; move that file away to start with an empty database, or put a backup in its place"
    )]
    NotOurs {
        /// The database's file.
        path: PathBuf,
        /// What lies there instead.
        found: String,
    },
    /// A later version of this program wrote it.
    #[error(
        "cannot open {path}: it has format {found}, and this program knows formats up to {supported}; use the newer program again, or put an older backup in its place"
    )]
    NewerFormat {
        /// The database's file.
        path: PathBuf,
        /// The number of the file's format.
        found: u32,
        /// The newest format known here.
        supported: u32,
    },
    /// Its content contradicts itself.
    #[error(
        "cannot {action} {path}: the database is damaged; put a backup in its place, or move it away to start empty"
    )]
    Damaged {
        /// What was tried.
        action: &'static str,
        /// The database's file.
        path: PathBuf,
        /// What SQLite found.
        #[source]
        source: Arc<Reported>,
    },
    /// The disk, or the quota on it, is used up. Nothing of the failed write stays.
    #[error("cannot {action} {path}: no space is left")]
    Full {
        /// What was tried.
        action: &'static str,
        /// The database's file.
        path: PathBuf,
        /// What SQLite reported.
        #[source]
        source: Arc<Reported>,
    },
    /// Anything else that SQLite or the system reported.
    #[error("cannot {action} {path}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// The database's file.
        path: PathBuf,
        /// What SQLite reported.
        #[source]
        source: Arc<Reported>,
    },
    /// The file or its directory could not be made.
    #[error("cannot open the database")]
    File(#[source] Arc<FileError>),
}

impl SqliteError {
    /// For `map_err`: names the action and the database.
    pub(super) fn at<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl Fn(rusqlite::Error) -> SqliteError + 'a {
        move |error| SqliteError::classify(action, path, error)
    }

    fn classify(action: &'static str, path: &Path, error: rusqlite::Error) -> SqliteError {
        let code = error.sqlite_error_code();
        let source = Arc::new(Reported(error));
        let path = path.to_owned();
        match code {
            Some(ErrorCode::NotADatabase) => SqliteError::NotOurs {
                path,
                found: "no SQLite database".to_owned(),
            },
            Some(ErrorCode::DatabaseCorrupt) => SqliteError::Damaged {
                action,
                path,
                source,
            },
            Some(ErrorCode::DiskFull) => SqliteError::Full {
                action,
                path,
                source,
            },
            _ => SqliteError::Failed {
                action,
                path,
                source,
            },
        }
    }
}

impl From<FileError> for SqliteError {
    fn from(error: FileError) -> SqliteError {
        SqliteError::File(Arc::new(error))
    }
}

/// SQLite's words and code. A cause that has none itself: rusqlite's texts repeat their sources.
#[derive(Debug, Error)]
pub struct Reported(rusqlite::Error);

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            rusqlite::Error::SqliteFailure(code, Some(words)) => {
                write!(f, "{words} (error code {})", code.extended_code)
            }
            error => error.fmt(f),
        }
    }
}

/// How one read or change ends without a result: SQLite failed, or the caller's own rules say no.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    /// The file is at fault; becomes a [`SqliteError`].
    Sqlite(rusqlite::Error),
    /// The change is refused and leaves nothing behind; other changes of its batch stand.
    Refused(E),
}

impl<E> From<rusqlite::Error> for Failure<E> {
    fn from(error: rusqlite::Error) -> Failure<E> {
        Failure::Sqlite(error)
    }
}
