//! Functions and their versions.

use serde::{Deserialize, Serialize};

use super::null::null_as_default;

/// A function, as in `GET /functions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Function {
    /// Unique in the fleet.
    pub name: String,
    /// What is executed inside of the archive.
    pub handler: String,
    /// The version in force; null before the first deploy.
    pub active_version: Option<u64>,
    /// SHA-256 of its archive.
    pub digest: Option<String>,
    /// Limits of each execution; null is the agent's to say.
    #[serde(default, deserialize_with = "null_as_default")]
    pub resources: Resources,
    /// Seconds; null means none.
    pub timeout: Option<f64>,
    /// Executions at once on each agent.
    #[serde(default)]
    pub max_concurrency: u32,
    /// `exit` or `wait`.
    #[serde(default)]
    pub max_concurrency_behavior: String,
    /// `exit` or `wait`.
    #[serde(default)]
    pub resource_pressure_behavior: String,
    /// How long a call waits at the most, such as `5m`.
    #[serde(default)]
    pub max_wait: String,
    /// Names only: values may be secrets.
    #[serde(default, deserialize_with = "null_as_default")]
    pub env: Vec<String>,
    /// What it asks for; null is the agent's to say.
    #[serde(default)]
    pub isolation: Isolation,
    /// RFC 3339.
    #[serde(default)]
    pub created_at: String,
    /// RFC 3339.
    #[serde(default)]
    pub updated_at: String,
}

/// Limits of each execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Resources {
    /// Millicores.
    pub cpu: Option<u32>,
    /// MiB.
    pub memory: Option<u64>,
    /// MiB.
    pub disk: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// How far a function asks to be kept apart, in the words of its YAML.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Isolation {
    /// `own` or `shared`.
    pub user: Option<String>,
    /// `none` or `host`.
    pub network: Option<String>,
    /// `strict` or `open`.
    pub files: Option<String>,
    /// `filtered` or `open`.
    pub syscalls: Option<String>,
}

/// A kept version, as in `GET /functions/{name}/versions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub version: u64,
    /// SHA-256 of its archive.
    pub digest: String,
    /// The size of its archive.
    pub size_bytes: u64,
    /// RFC 3339.
    pub created_at: String,
    /// Whether it is in force.
    pub active: bool,
}

/// The answer to a registration, a deploy or a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Distribution {
    /// `success`: it is stored.
    pub status: String,
    #[serde(default)]
    pub function: String,
    /// The version in force; null before the first deploy.
    #[serde(default)]
    pub version: Option<u64>,
    /// Agents that have it; in the answer to a registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_count: Option<usize>,
    /// Agents that have it; in the answer to a deploy or a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed_count: Option<usize>,
    /// Agents that should have it.
    pub total_agents: usize,
    #[serde(default, deserialize_with = "null_as_default")]
    pub agents: Vec<AgentOutcome>,
}

/// What became of a change on one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentOutcome {
    pub agent_id: String,
    /// `success`, `failed` or `pending`.
    pub status: String,
    /// For people; a remark on a success.
    #[serde(default, deserialize_with = "null_as_default")]
    pub message: String,
}

/// The body of `POST /functions/{name}/rollback`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Rollback {
    /// To which; the newest one that is older than the active one when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// The answer to `DELETE /functions/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removed {
    /// `removed`.
    pub status: String,
    pub name: String,
}
