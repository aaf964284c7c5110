//! What became of a change on the agents, as the answers to a deploy and a rollback say it.

use crate::cli::exit_code::ExitCode;
use crate::cli::printer;
use crate::cli::table::{Cell, Table};
use crate::contract::function::Distribution;

pub(crate) fn table(distribution: &Distribution) -> Table {
    Table::of(
        &distribution.agents,
        &[
            ("AGENT", |agent| agent.agent_id.cell()),
            ("STATUS", |agent| agent.status.cell()),
            ("MESSAGE", |agent| agent.message.cell()),
        ],
    )
}

/// Says on stderr which agents do not have it yet.
pub(crate) fn note_failures(distribution: &Distribution) {
    for agent in &distribution.agents {
        if agent.status != "success" {
            printer::note(&format!(
                "agent {}: {} ({}); it is brought up to date before it gets traffic",
                agent.agent_id.cell(),
                agent.status.cell(),
                agent.message.cell(),
            ));
        }
    }
}

/// A deploy that no agent took is worth a failure, although it is stored and goes on.
pub(crate) fn exit_code(distribution: &Distribution) -> ExitCode {
    if distribution.total_agents > 0 && distribution.deployed_count == Some(0) {
        ExitCode::Failure
    } else {
        ExitCode::Ok
    }
}
