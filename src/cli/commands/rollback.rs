//! `flux rollback`: makes an earlier version of a function the active one.

use clap::Args;

use crate::cli::client::distribution;
use crate::cli::client::document::Document;
use crate::cli::client::names;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::Cell;
use crate::contract::function::{Distribution, Rollback};

/// Goes back to the previous version, or to a given one
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The function
    name: String,
    /// One that `flux versions` lists
    #[arg(value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    number: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let name = names::function(&arguments.name)?;
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
