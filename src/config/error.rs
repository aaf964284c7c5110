//! What can be wrong with a configuration, in words for whoever wrote it.
//!
//! Refuses: values of secrets. The readers put a value into a message only where it is none.

use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// One key that is missing, unknown or has an unusable value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Path of the key from the root, such as `limits.drain_timeout`.
    pub field: String,
    /// The value, unless it is a secret, and what was expected.
    pub message: String,
    /// Line of the value (or of the mapping in which a key is missing), from 1; 0 when there is none.
    pub line: usize,
    /// Column of the value, from 1; 0 when there is none.
    pub column: usize,
}

/// The text is no YAML that Flux reads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Malformed {
    /// What the parser met, and what it expected.
    pub message: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// None of the places holds a file.
    #[error(
        "no configuration file: none at {} (set {variable} to use another place)",
        list(searched)
    )]
    NotFound {
        /// The places that were looked at, in that order.
        searched: Vec<PathBuf>,
        /// The environment variable that names another place.
        variable: &'static str,
    },
    /// The file is there, or was named explicitly, and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{} is larger than {limit_bytes} bytes", path.display())]
    TooLarge {
        path: PathBuf,
        /// See `MAX_FILE_BYTES`.
        limit_bytes: usize,
    },
    /// The file is no YAML.
    #[error("{}, {malformed}", path.display())]
    Malformed {
        path: PathBuf,
        /// Where, and what.
        malformed: Malformed,
    },
    /// The file is YAML, and some of its keys are wrong.
    #[error("{}", invalid(path, fields))]
    Invalid {
        path: PathBuf,
        /// All of them, in the order of the file; never empty.
        fields: Vec<FieldError>,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

fn invalid(path: &std::path::Path, fields: &[FieldError]) -> String {
    let mut text = String::new();
    for field in fields {
        let separator = if text.is_empty() { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = match field.line {
            0 => write!(text, "{separator}{}: {field}", path.display()),
            line => write!(text, "{separator}{}, line {line}: {field}", path.display()),
        };
    }
    text
}
