//! What configurations must hold, by kind of document.

mod agent;
mod examples;
mod function;
mod server;
mod yaml;

use super::error::{ConfigError, FieldError};
use super::locate::Source;

/// A file's text, as if it had been read from `/conf/test.yaml`.
fn source(text: &str) -> Source {
    Source {
        path: "/conf/test.yaml".into(),
        bytes: text.as_bytes().to_vec(),
    }
}

/// No variables at all.
fn empty(_: &str) -> Option<String> {
    None
}

fn fields(error: &ConfigError) -> &[FieldError] {
    match error {
        ConfigError::Invalid { fields, .. } => fields,
        ConfigError::NotFound { .. }
        | ConfigError::Read { .. }
        | ConfigError::TooLarge { .. }
        | ConfigError::Malformed { .. } => panic!("expected bad fields, found: {error}"),
    }
}

fn names(fields: &[FieldError]) -> Vec<&str> {
    fields.iter().map(|field| field.field.as_str()).collect()
}
