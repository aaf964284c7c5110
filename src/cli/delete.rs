//! `flux delete`.

use clap::Args;

use super::error::CliError;
use super::exit_code::ExitCode;
use super::printer::Printer;
use super::target::Target;
use crate::model::ids::FunctionName;

/// Deletes a function and its versions; what runs of it is left to its end
#[derive(Debug, Args)]
pub struct Arguments {
    /// The function
    name: String,
}

/// Runs the command.
///
/// # Errors
/// A wrong name, no answer, or the API's refusal.
pub fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let name = FunctionName::new(&arguments.name)
        .map_err(|error| CliError::usage(error.to_string(), ""))?;
    let answer = target.client()?.delete(&format!("/functions/{name}"))?;
    Printer::new(target.json).show_line(&answer, &format!("deleted {name}"))?;
    Ok(ExitCode::Ok)
}
