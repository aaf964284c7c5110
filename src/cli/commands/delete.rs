//! `flux delete`.

use clap::Args;

use crate::cli::client::document::Document;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::contract::function::Removed;
use crate::model::ids::FunctionName;

/// Deletes a function and its versions; what runs of it is left to its end
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The function
    name: String,
}

/// Runs the command.
///
/// # Errors
/// A wrong name, no answer, or the API's refusal.
pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let name = FunctionName::new(&arguments.name)
        .map_err(|error| CliError::usage(error.to_string(), ""))?;
    let answer: Document<Removed> = target.client()?.delete(&format!("/functions/{name}"))?;
    Printer::new(target.json).show_line(&answer, &format!("deleted {name}"))?;
    Ok(ExitCode::Ok)
}
