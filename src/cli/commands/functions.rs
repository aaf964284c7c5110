//! `flux functions`: all of them, or one.

use clap::Args;
use serde_json::Value;

use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::Table;
use crate::model::ids::FunctionName;

/// Lists functions, or shows one
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only this one, in full
    name: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// A wrong name, no answer, or the API's refusal.
pub fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let printer = Printer::new(target.json);
    match &arguments.name {
        Some(name) => {
            let name =
                FunctionName::new(name).map_err(|error| CliError::usage(error.to_string(), ""))?;
            let function = target.client()?.get(&format!("/functions/{name}"))?;
            printer.show(&function, Table::facts)?;
        }
        None => printer.show(&target.client()?.get("/functions")?, table)?,
    }
    Ok(ExitCode::Ok)
}

fn table(functions: &Value) -> Table {
    Table::of(
        functions,
        &[
            ("FUNCTION", "name"),
            ("HANDLER", "handler"),
            ("VERSION", "active_version"),
            ("UPDATED", "updated_at"),
        ],
    )
}
