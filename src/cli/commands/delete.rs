//! `flux delete`: removes a function with all its versions.

use clap::Args;

use crate::cli::client::document::Document;
use crate::cli::client::names;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::contract::function::Removed;

/// Deletes a function and its versions; its running executions go on to their end
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The function
    name: String,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let name = names::function(&arguments.name)?;
    let answer: Document<Removed> = target.client()?.delete(&format!("/functions/{name}"))?;
    Printer::new(target.json).show_line(&answer, &format!("deleted {name}"))?;
    Ok(ExitCode::Ok)
}
