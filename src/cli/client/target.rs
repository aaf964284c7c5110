//! Which control plane a command talks to, and with which key.
//!
//! Invariant: the key of the context file goes to the address of the context file only; a `--url`
//! that names another one must bring its own key.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::context::{self, Context};
use super::http::Client;
use crate::cli::error::CliError;
use crate::config::secret::Secret;

const URL_VARIABLE: &str = "FLUX_URL";
const KEY_VARIABLE: &str = "FLUX_API_KEY";

/// Options that every command has.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// The control plane, such as http://127.0.0.1:7227 [env: FLUX_URL; else from `flux login`]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// A file with the API key [env: the key itself in FLUX_API_KEY; else from `flux login`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Print the API's JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Target {
    /// A client of the control plane that an option, the environment or the context file names.
    ///
    /// # Errors
    /// None is named, its URL is no URL, or a file cannot be read.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        let variable = |name| {
            std::env::var(name)
                .ok()
                .filter(|text: &String| !text.is_empty())
        };
        let url = self.url.clone().or_else(|| variable(URL_VARIABLE));
        let key = match &self.api_key_file {
            Some(path) => Some(read_key(path)?),
            None => variable(KEY_VARIABLE).map(Secret::new),
        };
        // With both, no context file is needed, nor a HOME to find it in.
        let context = if url.is_some() && key.is_some() {
            None
        } else {
            context::default_path()
                .and_then(|path| context::read(&path))
                .map_err(CliError::Local)?
        };
        let (url, key) = choose(url, key, context)?;
        Ok(Client::new(url, key))
    }
}

/// The URL without a slash at its end.
///
/// # Errors
/// It does not begin with `http://` or `https://`, names no host, or has a user, a query or a fragment.
pub(crate) fn check_url(text: &str) -> Result<String, CliError> {
    let url = text.trim().trim_end_matches('/');
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let is_valid = rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.contains(['@', '?', '#'])
            && rest.chars().all(|c| c.is_ascii_graphic())
    });
    if is_valid {
        return Ok(url.to_owned());
    }
    Err(CliError::usage(
        "the URL of a control plane starts with http:// or https:// and has no user in it",
        "write it as http://127.0.0.1:7227",
    ))
}

fn choose(
    url: Option<String>,
    key: Option<Secret>,
    context: Option<Context>,
) -> Result<(String, Option<Secret>), CliError> {
    let url = match (url, &context) {
        (Some(url), _) => check_url(&url)?,
        (None, Some(context)) => context.url.clone(),
        (None, None) => {
            return Err(CliError::usage(
                "it is not known which control plane to ask",
                "start one here with `flux dev`, or name one with `flux login URL`, --url or FLUX_URL",
            ));
        }
    };
    let stored = context
        .filter(|context| context.url == url)
        .map(|context| context.api_key);
    Ok((url, key.or(stored)))
}

fn read_key(path: &Path) -> Result<Secret, CliError> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the API key from {}", path.display()))?;
    Ok(Secret::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Option<Context> {
        Some(Context {
            url: "http://home:7227".into(),
            api_key: Secret::new("home-key".into()),
        })
    }

    fn key_of(chosen: &(String, Option<Secret>)) -> Option<&str> {
        chosen.1.as_ref().map(Secret::expose)
    }

    #[test]
    fn the_stored_key_goes_to_no_other_address() {
        let other = choose(Some("http://other:7227".into()), None, context()).expect("chosen");
        assert_eq!(
            (other.0.as_str(), key_of(&other)),
            ("http://other:7227", None)
        );
        let same = choose(Some("http://home:7227/".into()), None, context()).expect("chosen");
        assert_eq!(key_of(&same), Some("home-key"));
    }

    #[test]
    fn what_is_given_wins_over_what_is_stored() {
        let given = Some(Secret::new("given".into()));
        let chosen = choose(None, given, context()).expect("chosen");
        assert_eq!(
            (chosen.0.as_str(), key_of(&chosen)),
            ("http://home:7227", Some("given"))
        );
        assert!(matches!(
            choose(None, None, None),
            Err(CliError::Usage { .. })
        ));
    }

    #[test]
    fn only_http_addresses_are_urls() {
        for text in [
            "",
            "host:7227",
            "ftp://x",
            "http://",
            "http://u:p@h",
            "http://a b",
        ] {
            assert!(check_url(text).is_err(), "{text}");
        }
        assert_eq!(
            check_url("https://flux.example/").expect("valid"),
            "https://flux.example"
        );
    }
}
