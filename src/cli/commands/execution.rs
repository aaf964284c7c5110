//! `flux execution`: one record.

use clap::Args;

use crate::cli::client::document::Document;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::Table;
use crate::contract::record::Record;
use crate::model::ids::ExecutionId;

/// Shows one execution's record
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
    let record: Document<Record> = target.client()?.get(&format!("/executions/{id}"))?;
    Printer::new(target.json).show(&record, facts)?;
    Ok(ExitCode::Ok)
}

/// Without the output, which `flux logs` shows as it is.
fn facts(record: &Document<Record>) -> Table {
    let mut fields = record.fields();
    fields.remove("output");
    Table::facts(&fields)
}
