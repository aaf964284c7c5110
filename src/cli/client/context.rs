//! The context file, in which `flux login` and `flux dev` leave a control plane's address and key for
//! later commands.
//!
//! Invariants: only its owner can read it; it is whole or absent.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::base::atomic_file;
use crate::config::secret::Secret;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    /// `http://` or `https://`, without a slash at the end.
    pub(crate) url: String,
    /// The key to send, to that address only.
    pub(crate) api_key: Secret,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    url: String,
    api_key: String,
}

/// The file's form; a file of another one is refused.
const VERSION: u32 = 1;

/// `$XDG_CONFIG_HOME/flux/context.json`, else `~/.config/flux/context.json`.
///
/// # Errors
/// Neither variable is set.
pub(crate) fn default_path() -> anyhow::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let directory = match (variable("XDG_CONFIG_HOME"), variable("HOME")) {
        (Some(config), _) => PathBuf::from(config),
        (None, Some(home)) => PathBuf::from(home).join(".config"),
        (None, None) => anyhow::bail!("neither XDG_CONFIG_HOME nor HOME is set"),
    };
    Ok(directory.join("flux").join("context.json"))
}

/// `None` when there is no file.
///
/// # Errors
/// A file that cannot be read, or was not made by [`write`].
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<Context>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    // serde_json's messages can quote the text, and the text holds the key.
    let stored: Stored = serde_json::from_slice(&bytes)
        .ok()
        .filter(|stored: &Stored| stored.version == VERSION)
        .with_context(|| {
            format!(
                "{} is no context file of this version; remove it and log in again",
                path.display()
            )
        })?;
    Ok(Some(Context {
        url: stored.url,
        api_key: Secret::new(stored.api_key),
    }))
}

/// Replaces the file at `path`, with mode 0600 in a directory of mode 0700.
///
/// # Errors
/// The directory or the file cannot be written.
pub(crate) fn write(path: &Path, context: &Context) -> anyhow::Result<()> {
    let stored = Stored {
        version: VERSION,
        url: context.url.clone(),
        api_key: context.api_key.expose().to_owned(),
    };
    if let Some(directory) = path.parent() {
        atomic_file::create_directory(directory, 0o700)?;
    }
    let text = serde_json::to_vec_pretty(&stored).context("cannot encode the context")?;
    atomic_file::write(path, &text, 0o600)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_read_back_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("flux").join("context.json");
        assert_eq!(read(&path).expect("absent"), None);
        let context = Context {
            url: "http://127.0.0.1:7227".into(),
            api_key: Secret::new("s3cret-key".into()),
        };
        write(&path, &context).expect("write");
        assert_eq!(read(&path).expect("read"), Some(context));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).expect("stat").permissions().mode();
            assert_eq!(mode(&path) & 0o777, 0o600);
            assert_eq!(mode(path.parent().expect("parent")) & 0o777, 0o700);
        }
    }

    #[test]
    fn a_damaged_context_is_refused_without_showing_its_key() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("context.json");
        for text in [
            "{",
            r#"{"version":2,"url":"u","api_key":"s3cret"}"#,
            r#"{"version":1,"url":"u","api_key":"s3cret","x":"s3cret"}"#,
        ] {
            atomic_file::write(&path, text.as_bytes(), 0o600).expect("write");
            let error = format!("{:#}", read(&path).expect_err(text));
            assert!(
                error.contains("context.json") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }
}
