//! `flux login`: tries a key, and remembers it together with the control plane's address.

use std::io::{self, BufRead, IsTerminal};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::cli::client::context::{self, Context};
use crate::cli::client::http::Client;
use crate::cli::client::target::{Target, check_url};
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::platform::HiddenInput;
use crate::cli::printer::{self, Printer};
use crate::config::secret::Secret;
use crate::contract::function::Function;

/// Remembers a control plane and its key for later commands
#[derive(Debug, Args)]
#[command(
    after_help = "The key is asked for on a terminal, and read from stdin otherwise; \
--api-key-file reads it from a file."
)]
pub(crate) struct Arguments {
    /// The control plane
    url: String,
}

/// What `--json` shows.
#[derive(Serialize)]
struct LoggedIn<'a> {
    context: String,
    url: &'a str,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let url = check_url(&arguments.url)?;
    let text = match &target.api_key_file {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the API key from {}", path.display()))?,
        None => read_key()?,
    };
    let api_key = text.trim();
    if api_key.is_empty() {
        return Err(CliError::usage(
            "the key is empty",
            "the control plane has it as `api_key` in flux.yaml",
        ));
    }
    let api_key = Secret::new(api_key.to_owned());
    // A cheap request that only a good key is answered.
    Client::new(url.clone(), Some(api_key.clone())).get::<Vec<Function>>("/functions")?;
    let path = context::default_path()?;
    let context = Context { url, api_key };
    context::write(&path, &context)?;
    let answer = LoggedIn {
        context: path.display().to_string(),
        url: &context.url,
    };
    Printer::new(target.json).show_line(&answer, &format!("logged in to {}", context.url))?;
    Ok(ExitCode::Ok)
}

fn read_key() -> Result<String, CliError> {
    let mut line = String::new();
    if io::stdin().is_terminal() {
        printer::raw_stderr(b"API key: ");
        let _hidden = HiddenInput::start()?;
        let result = io::stdin().lock().read_line(&mut line);
        printer::raw_stderr(b"\n");
        result.context("cannot read the key")?;
    } else {
        io::stdin()
            .lock()
            .read_line(&mut line)
            .context("cannot read the key from stdin")?;
    }
    Ok(line)
}
