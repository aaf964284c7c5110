//! What the tests read configurations from, and what they look at in an error.

use crate::config::error::{ConfigError, FieldError};
use crate::config::locate::Source;

/// A file's text, as if it had been read from `/conf/test.yaml`.
pub(super) fn source(text: &str) -> Source {
    Source {
        path: "/conf/test.yaml".into(),
        bytes: text.as_bytes().to_vec(),
    }
}

/// No variables at all.
pub(super) fn empty(_: &str) -> Option<String> {
    None
}

pub(super) fn fields(error: &ConfigError) -> &[FieldError] {
    match error {
        ConfigError::Invalid { fields, .. } => fields,
        ConfigError::NotFound { .. }
        | ConfigError::Read { .. }
        | ConfigError::TooLarge { .. }
        | ConfigError::Malformed { .. } => panic!("expected bad fields, found: {error}"),
    }
}

pub(super) fn names(fields: &[FieldError]) -> Vec<&str> {
    fields.iter().map(|field| field.field.as_str()).collect()
}
