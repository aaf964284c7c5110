//! `flux execution`: shows the record of one execution.

use clap::Args;

use crate::cli::client::document::Document;
use crate::cli::client::names;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::Table;
use crate::contract::record::Record;

/// Shows one execution's record
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The execution
    id: String,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let id = names::execution(&arguments.id)?;
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
