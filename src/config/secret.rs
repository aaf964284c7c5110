//! Texts that must not be shown: keys, passwords.
//!
//! In YAML a secret is written as it is, as `${ENV_NAME}`, or as `file:/path`.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::document::Node;
use super::locate::Environment;
use super::read;
use crate::base::causes::with_causes;

/// Bytes of a secret's file at the most: larger than any key, smaller than a wrong file.
const MAX_SECRET_BYTES: u64 = 4096;

/// A text that `Debug` does not show. Compare it in constant time.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Takes the text as it is.
    pub(crate) fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text itself; it must go into no log and no error.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads a secret in one of its three forms. Messages name the variable or the file, never a value.
pub(super) fn secret(
    base: &Path,
    environment: Environment<'_>,
) -> impl FnOnce(&Node) -> Result<Secret, String> {
    move |node| {
        let text = read::text(node)?;
        let value = if let Some(name) = environment_name(&text) {
            environment(name).ok_or_else(|| {
                format!("expected the environment variable {name}, which is not set")
            })?
        } else if let Some(path) = text.strip_prefix("file:") {
            read_file(&base.join(path))?
        } else {
            text
        };
        if value.is_empty() {
            return Err("expected a secret, found an empty text".to_owned());
        }
        Ok(Secret(value))
    }
}

fn environment_name(text: &str) -> Option<&str> {
    text.strip_prefix("${")?.strip_suffix('}')
}

/// Without the line break that editors and `echo` put at the end.
fn read_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut text = String::new();
    let file = File::open(path)
        .map_err(|error| format!("cannot read {shown}: {}", with_causes(&error)))?;
    file.take(MAX_SECRET_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot read {shown}: {}", with_causes(&error)))?;
    if text.len() as u64 > MAX_SECRET_BYTES {
        return Err(format!(
            "{shown} is larger than {MAX_SECRET_BYTES} bytes, and no secret"
        ));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
