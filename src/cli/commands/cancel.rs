//! `flux cancel`.

use clap::Args;

use crate::cli::client::document::Document;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::contract::execution::Cancelled;
use crate::model::ids::ExecutionId;

/// Cancels an execution: its processes are dead when this returns
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The execution
    id: String,
}

/// Runs the command.
///
/// # Errors
/// A wrong id, no answer, or the API's refusal.
pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let id = ExecutionId::new(&arguments.id)
        .map_err(|error| CliError::usage(error.to_string(), "flux executions lists them"))?;
    let answer: Document<Cancelled> = target.client()?.delete(&format!("/executions/{id}"))?;
    Printer::new(target.json).show_line(&answer, &format!("cancelled {id}"))?;
    Ok(ExitCode::Ok)
}
