//! `flux agents`.

use clap::Args;
use serde_json::Value;

use super::error::CliError;
use super::exit_code::ExitCode;
use super::printer::Printer;
use super::table::Table;
use super::target::Target;

/// Lists agents
#[derive(Debug, Args)]
pub struct Arguments {}

/// Runs the command.
///
/// # Errors
/// No answer, or the API's refusal.
pub fn run(_: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let answer = target.client()?.get("/agents")?;
    Printer::new(target.json).show(&answer, table)?;
    Ok(ExitCode::Ok)
}

fn table(agents: &Value) -> Table {
    Table::of(
        agents,
        &[
            ("AGENT", "id"),
            ("ADDRESS", "address"),
            ("STATUS", "status"),
            ("RUNNING", "active_count"),
            ("CPU%", "node_status.cpu_percent"),
            ("MEM%", "node_status.memory_percent"),
            ("LAST HEARTBEAT", "last_heartbeat"),
        ],
    )
}
