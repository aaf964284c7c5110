//! `flux agents`: all of them, or one.

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::{Table, cell};
use crate::model::ids::AgentId;

/// Lists agents, or shows one
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only this one, in full: also what it does not enforce, and why
    id: Option<String>,
}

/// Columns of the list, before what is not enforced.
const COLUMNS: [(&str, &str); 7] = [
    ("AGENT", "id"),
    ("ADDRESS", "address"),
    ("STATUS", "status"),
    ("RUNNING", "active_count"),
    ("CPU%", "node_status.cpu_percent"),
    ("MEM%", "node_status.memory_percent"),
    ("LAST HEARTBEAT", "last_heartbeat"),
];

/// Runs the command.
///
/// # Errors
/// A wrong or unknown id, no answer, or the API's refusal.
pub fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let printer = Printer::new(target.json);
    let id = arguments.id.as_deref().map(AgentId::new).transpose();
    let id = id.map_err(|error| CliError::usage(error.to_string(), ""))?;
    let agents = target.client()?.get("/agents")?;
    match id {
        Some(id) => printer.show(find(&agents, &id)?, facts)?,
        None => printer.show(&agents, table)?,
    }
    Ok(ExitCode::Ok)
}

fn find<'a>(agents: &'a Value, id: &AgentId) -> Result<&'a Value, CliError> {
    let mut agents = agents.as_array().into_iter().flatten();
    agents
        .find(|agent| agent["id"] == id.as_str())
        .ok_or_else(|| CliError::Local(anyhow!("no agent {id}; flux agents lists them")))
}

fn table(agents: &Value) -> Table {
    let mut heads: Vec<_> = COLUMNS.iter().map(|(head, _)| *head).collect();
    heads.push("NOT ENFORCED");
    let mut table = Table::new(&heads);
    for agent in agents.as_array().into_iter().flatten() {
        let mut row: Vec<_> = COLUMNS.iter().map(|(_, path)| cell(agent, path)).collect();
        row.push(not_enforced(agent));
        table.row(row);
    }
    table
}

/// One that says nothing about isolation is not asked yet, or not of this implementation.
fn not_enforced(agent: &Value) -> String {
    if words(agent, "isolation").next().is_none() {
        return "unknown".to_owned();
    }
    let missing: Vec<_> = missing(agent).map(|(what, _)| what).collect();
    if missing.is_empty() {
        return "-".to_owned();
    }
    missing.join(",")
}

/// As for every object, but with one line for each thing that is not enforced.
fn facts(agent: &Value) -> Table {
    let mut agent = agent.clone();
    let enforced: Vec<_> = words(&agent, "isolation").collect();
    let enforced = enforced.join(", ");
    let reasons = missing(&agent).map(|(what, reason)| (what.to_owned(), reason.into()));
    let reasons = Value::Object(reasons.collect());
    agent["isolation"] = enforced.into();
    agent["isolation_missing"] = reasons;
    Table::facts(&agent)
}

fn words<'a>(agent: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    let values = agent[key].as_array().into_iter().flatten();
    values.filter_map(Value::as_str)
}

/// What is missing, and why.
fn missing(agent: &Value) -> impl Iterator<Item = (&str, &str)> {
    let missing = agent["isolation_missing"].as_array().into_iter().flatten();
    missing.filter_map(|missing| Some((missing["what"].as_str()?, missing["reason"].as_str()?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn agents() -> Value {
        json!([
            {"id": "a1", "isolation": ["user", "files"], "isolation_missing": [
                {"what": "memory", "reason": "no controller"}, {"what": "cpu", "reason": "none"}]},
            {"id": "a2", "isolation": ["user"], "isolation_missing": []},
            {"id": "a3", "isolation": []},
        ])
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
        let stranger = AgentId::new("b").expect("id");
        assert!(find(&agents, &stranger).is_err());
    }
}
