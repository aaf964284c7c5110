//! `flux functions`: lists all functions, or shows one.

use clap::Args;

use crate::cli::client::document::Document;
use crate::cli::client::names;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::{Cell, Table};
use crate::contract::function::Function;

/// Lists functions, or shows one
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Show only this one, in full
    name: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let printer = Printer::new(target.json);
    match &arguments.name {
        Some(name) => {
            let name = names::function(name)?;
            let path = format!("/functions/{name}");
            let function: Document<Function> = target.client()?.get(&path)?;
            printer.show(&function, |function| Table::facts(&function.fields()))?;
        }
        None => {
            let functions: Document<Vec<Function>> = target.client()?.get("/functions")?;
            printer.show(&functions, |functions| table(functions))?;
        }
    }
    Ok(ExitCode::Ok)
}

fn table(functions: &[Function]) -> Table {
    Table::of(
        functions,
        &[
            ("FUNCTION", |function| function.name.cell()),
            ("HANDLER", |function| function.handler.cell()),
            ("VERSION", |function| function.active_version.cell()),
            ("UPDATED", |function| function.updated_at.cell()),
        ],
    )
}
