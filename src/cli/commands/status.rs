//! `flux status`: shows whether the control plane is ready, and what its machines are doing.

use clap::Args;
use serde::Serialize;

use crate::cli::client::document::Document;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::{Cell, Table};
use crate::contract::machine::{Node, Resources, State};

/// Shows whether the control plane is ready, and what its machines are doing
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

/// What is shown: two answers, and where they come from.
#[derive(Serialize)]
struct Status<'a> {
    ready: Document<State>,
    resources: Document<Resources>,
    url: &'a str,
}

pub(crate) fn run(_: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let client = target.client()?;
    let status = Status {
        ready: client.get("/ready")?,
        resources: client.get("/resources")?,
        url: client.url(),
    };
    Printer::new(target.json).show(&status, table)?;
    Ok(ExitCode::Ok)
}

fn table(status: &Status) -> Table {
    let mut table = Table::new(&["MACHINE", "STATUS", "CPU%", "MEM%", "MEM MB", "RUNNING"]);
    let mut row = |machine: &str, status: &str, node: Option<&Node>| {
        table.row(
            [machine.cell(), status.cell()]
                .into_iter()
                .chain(figures(node)),
        );
    };
    row(
        status.url,
        &status.ready.status,
        Some(&status.resources.flux.node),
    );
    for agent in &status.resources.agents {
        row(&agent.id, &agent.status, agent.node_status.as_ref());
    }
    table
}

fn figures(node: Option<&Node>) -> [String; 4] {
    let used = node.map(|node| node.memory_used_mb).cell();
    let total = node.map(|node| node.memory_total_mb).cell();
    [
        node.map(|node| node.cpu_percent).cell(),
        node.map(|node| node.memory_percent).cell(),
        format!("{used}/{total}"),
        node.map(|node| node.active_tasks).cell(),
    ]
}
