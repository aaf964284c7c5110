//! `flux agents`: lists all agents, or shows one.

use anyhow::anyhow;
use clap::Args;
use serde_json::{Map, Value};

use crate::cli::client::document::Document;
use crate::cli::client::names;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::{Cell, Table};
use crate::contract::agent::Agent;
use crate::contract::machine::Node;
use crate::model::ids::AgentId;

/// Lists agents, or shows one
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Show only this one, in full, with what it does not enforce and why
    id: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let printer = Printer::new(target.json);
    let id = arguments.id.as_deref().map(names::agent).transpose()?;
    let agents: Vec<Document<Agent>> = target.client()?.get("/agents")?;
    match id {
        Some(id) => printer.show(find(&agents, &id)?, facts)?,
        None => printer.show(&agents, |agents| table(agents))?,
    }
    Ok(ExitCode::Ok)
}

fn find<'a>(agents: &'a [Document<Agent>], id: &AgentId) -> Result<&'a Document<Agent>, CliError> {
    let agent = agents.iter().find(|agent| agent.id == id.as_str());
    agent
        .ok_or_else(|| CliError::Local(anyhow!("there is no agent {id}; `flux agents` lists them")))
}

fn table(agents: &[Document<Agent>]) -> Table {
    Table::of(
        agents,
        &[
            ("AGENT", |agent| agent.id.cell()),
            ("ADDRESS", |agent| agent.address.cell()),
            ("STATUS", |agent| agent.status.cell()),
            ("RUNNING", |agent| agent.active_count.cell()),
            ("CPU%", |agent| figure(agent, |node| node.cpu_percent)),
            ("MEM%", |agent| figure(agent, |node| node.memory_percent)),
            ("LAST HEARTBEAT", |agent| agent.last_heartbeat.cell()),
            ("NOT ENFORCED", |agent| not_enforced(agent)),
        ],
    )
}

fn figure(agent: &Agent, of: fn(&Node) -> f64) -> String {
    agent.node_status.as_ref().map(of).cell()
}

/// An agent that says nothing about isolation was not asked yet, or is of the legacy implementation.
fn not_enforced(agent: &Agent) -> String {
    if agent.isolation.is_empty() {
        return "unknown".to_owned();
    }
    let missing = agent.isolation_missing.iter();
    let missing: Vec<_> = missing.map(|missing| missing.what.as_str()).collect();
    missing.join(",").cell()
}

/// All that the API says, with a line for each thing that is not enforced.
fn facts(agent: &Document<Agent>) -> Table {
    let enforced = agent.isolation.join(", ");
    let missing = agent.isolation_missing.iter();
    let reasons: Map<_, _> = missing
        .map(|missing| (missing.what.clone(), missing.reason.clone().into()))
        .collect();
    let mut fields = agent.fields();
    fields.insert("isolation".to_owned(), enforced.into());
    fields.insert("isolation_missing".to_owned(), Value::Object(reasons));
    Table::facts(&fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn agents() -> Vec<Document<Agent>> {
        let agent = |id: &str, isolation: Value, missing: Value| {
            json!({
                "id": id, "address": "h:1", "status": "online",
                "isolation": isolation, "isolation_missing": missing, "later": {"news": 1},
            })
        };
        let missing = json!([
            {"what": "memory", "reason": "no controller"},
            {"what": "cpu", "reason": "none"},
        ]);
        let agents = json!([
            agent("a1", json!(["user", "files"]), missing),
            agent("a2", json!(["user"]), json!([])),
            agent("a3", json!([]), json!([])),
        ]);
        serde_json::from_value(agents).expect("agents")
    }

    #[test]
    fn the_list_names_what_each_agent_does_not_enforce() {
        let text = table(&agents()).to_string();
        let last: Vec<_> = text
            .lines()
            .map(|line| line.rsplit("  ").next().unwrap_or_default())
            .collect();
        assert_eq!(last, ["NOT ENFORCED", "memory,cpu", "-", "unknown"]);
    }

    #[test]
    fn one_agent_is_shown_with_the_reasons() {
        let agents = agents();
        let id = AgentId::new("a1").expect("id");
        let agent = find(&agents, &id).expect("listed");
        let text = facts(agent).to_string();
        assert!(
            text.contains("isolation_missing.memory  no controller"),
            "{text}"
        );
        assert!(text.contains("user, files"), "{text}");
        assert!(text.contains("later.news"), "{text}");
        let stranger = AgentId::new("b").expect("id");
        assert!(find(&agents, &stranger).is_err());
    }
}
