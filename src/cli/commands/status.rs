//! `flux status`: is the control plane ready, and what do its machines do.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::{Table, cell};

/// Whether the control plane is ready, and what its machines do
#[derive(Debug, Args)]
pub struct Arguments {}

/// Runs the command.
///
/// # Errors
/// No answer, not ready, or the API's refusal.
pub fn run(_: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let client = target.client()?;
    let ready = client.get("/ready")?;
    let resources = client.get("/resources")?;
    let answer = json!({ "url": client.url(), "ready": ready, "resources": resources });
    Printer::new(target.json).show(&answer, table)?;
    Ok(ExitCode::Ok)
}

fn table(answer: &Value) -> Table {
    let mut table = Table::new(&["MACHINE", "STATUS", "CPU%", "MEM%", "MEM MB", "RUNNING"]);
    let ready = cell(&answer["ready"], "status");
    let node = &answer["resources"]["flux"]["node"];
    table.row(
        [cell(answer, "url"), ready]
            .into_iter()
            .chain(figures(node)),
    );
    for agent in answer["resources"]["agents"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let id = match cell(agent, "id") {
            absent if absent == "-" => cell(agent, "agent_id"),
            id => id,
        };
        let node = if agent["node_status"].is_object() {
            &agent["node_status"]
        } else {
            &agent["node"]
        };
        table.row([id, cell(agent, "status")].into_iter().chain(figures(node)));
    }
    table
}

fn figures(node: &Value) -> [String; 4] {
    let memory = format!(
        "{}/{}",
        cell(node, "memory_used_mb"),
        cell(node, "memory_total_mb")
    );
    [
        cell(node, "cpu_percent"),
        cell(node, "memory_percent"),
        memory,
        cell(node, "active_tasks"),
    ]
}
