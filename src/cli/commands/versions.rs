//! `flux versions`: lists the kept versions of a function.

use clap::Args;

use crate::cli::client::document::Document;
use crate::cli::client::names;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::{Cell, Table};
use crate::contract::function::Version;

/// Lists a function's versions
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The function
    name: String,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let name = names::function(&arguments.name)?;
    let path = format!("/functions/{name}/versions");
    let versions: Document<Vec<Version>> = target.client()?.get(&path)?;
    Printer::new(target.json).show(&versions, |versions| table(versions))?;
    Ok(ExitCode::Ok)
}

fn table(versions: &[Version]) -> Table {
    Table::of(
        versions,
        &[
            ("VERSION", |version| version.version.cell()),
            ("ACTIVE", |version| version.active.cell()),
            ("BYTES", |version| version.size_bytes.cell()),
            ("CREATED", |version| version.created_at.cell()),
            ("DIGEST", |version| version.digest.cell()),
        ],
    )
}
