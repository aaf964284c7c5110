//! `flux rollback`.

use clap::Args;

use crate::cli::client::distribution;
use crate::cli::client::document::Document;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::Cell;
use crate::contract::function::{Distribution, Rollback};
use crate::model::ids::FunctionName;

/// Goes back to the version before, or to a given one
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The function
    name: String,
    /// One that `flux versions` lists
    #[arg(value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    number: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// A wrong name, no answer, or the API's refusal.
pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let name = FunctionName::new(&arguments.name)
        .map_err(|error| CliError::usage(error.to_string(), ""))?;
    let body = Rollback {
        version: arguments.number,
    };
    let path = format!("/functions/{name}/rollback");
    let answer: Document<Distribution> = target.client()?.post(&path, &body)?;
    let line = format!("{name} is at version {}", answer.version.cell());
    Printer::new(target.json).show_line(&answer, &line)?;
    distribution::note_failures(&answer);
    Ok(ExitCode::Ok)
}
