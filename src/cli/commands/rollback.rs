//! `flux rollback`.

use clap::Args;
use serde_json::json;

use super::deploy;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::cell;
use crate::model::ids::FunctionName;

/// Goes back to the version before, or to a given one
#[derive(Debug, Args)]
pub struct Arguments {
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
pub fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let name = FunctionName::new(&arguments.name)
        .map_err(|error| CliError::usage(error.to_string(), ""))?;
    let body = match arguments.number {
        Some(version) => json!({ "version": version }),
        None => json!({}),
    };
    let answer = target
        .client()?
        .post(&format!("/functions/{name}/rollback"), &body)?;
    let version = match cell(&answer, "version") {
        absent if absent == "-" => cell(&answer, "active_version"),
        version => version,
    };
    let line = format!("{name} is at version {version}");
    Printer::new(target.json).show_line(&answer, &line)?;
    deploy::note_failures(&answer);
    Ok(ExitCode::Ok)
}
