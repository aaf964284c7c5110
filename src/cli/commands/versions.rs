//! `flux versions`.

use clap::Args;
use serde_json::Value;

use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::Table;
use crate::model::ids::FunctionName;

/// Lists a function's versions
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
    let answer = target
        .client()?
        .get(&format!("/functions/{name}/versions"))?;
    Printer::new(target.json).show(&answer, table)?;
    Ok(ExitCode::Ok)
}

fn table(versions: &Value) -> Table {
    Table::of(
        versions,
        &[
            ("VERSION", "version"),
            ("ACTIVE", "active"),
            ("BYTES", "size_bytes"),
            ("CREATED", "created_at"),
            ("DIGEST", "digest"),
        ],
    )
}
