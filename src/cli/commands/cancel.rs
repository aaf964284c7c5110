//! `flux cancel`: ends an execution that runs.

use clap::Args;

use crate::cli::client::document::Document;
use crate::cli::client::names;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::contract::execution::Cancelled;

/// Cancels an execution; its processes are dead when this returns
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The execution
    id: String,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let id = names::execution(&arguments.id)?;
    let answer: Document<Cancelled> = target.client()?.delete(&format!("/executions/{id}"))?;
    Printer::new(target.json).show_line(&answer, &format!("cancelled {id}"))?;
    Ok(ExitCode::Ok)
}
