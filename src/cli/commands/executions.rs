//! `flux executions`: lists records, the newest first, a page at a time.

use clap::Args;
use ureq::http::Method;

use crate::cli::client::call::Call;
use crate::cli::client::document::Document;
use crate::cli::client::names;
use crate::cli::client::record;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::{self, Printer};
use crate::contract::execution::Page;
use crate::control::executions::MAX_LISTED;
use crate::model::execution::Status;

/// Lists executions, newest first
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only executions of this function
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Only executions with this status
    #[arg(long, value_parser = ["running", "success", "failed", "cancelled"])]
    status: Option<String>,
    /// List at most this many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=MAX_LISTED as i64))]
    limit: u32,
    /// Go on where the previous page ended
    #[arg(long)]
    cursor: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let mut call =
        Call::new(Method::GET, "/executions").query("limit", &arguments.limit.to_string());
    if let Some(name) = &arguments.function {
        let name = names::function(name)?;
        call = call.query("function", name.as_str());
    }
    if let Some(status) = arguments.status.as_deref().and_then(Status::parse) {
        call = call.query("status", status.as_str());
    }
    if let Some(cursor) = &arguments.cursor {
        call = call.query("cursor", cursor);
    }
    let page: Document<Page> = target.client()?.json(call, ())?;
    Printer::new(target.json).show(&page, |page| record::table(&page.executions))?;
    for agent in &page.unreachable_agents {
        printer::note(&format!(
            "agent {agent} cannot be reached: its executions are missing here"
        ));
    }
    if let Some(cursor) = &page.next_cursor {
        printer::note(&format!("there are more: --cursor {cursor}"));
    }
    Ok(ExitCode::Ok)
}
