//! Machines and their figures, and whether the control plane serves.

use serde::{Deserialize, Serialize};

use super::agent::Agent;
use super::null::null_as_default;

/// A machine's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Node {
    /// 0 to 100 over all processors.
    pub cpu_percent: f64,
    /// 0 to 100.
    pub memory_percent: f64,
    /// MiB.
    pub memory_total_mb: u64,
    /// MiB that new work cannot have.
    pub memory_used_mb: u64,
    /// Executions that run.
    pub active_tasks: u32,
    /// Executions that may run at once; 0 where it is not known.
    #[serde(default)]
    pub max_tasks: u32,
    /// Since the daemon started.
    pub uptime_seconds: u64,
    /// RFC 3339.
    #[serde(default)]
    pub collected_at: String,
}

/// The answer to `GET /resources`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Resources {
    /// The control plane's machine.
    pub flux: OwnMachine,
    #[serde(default, deserialize_with = "null_as_default")]
    pub agents: Vec<Agent>,
}

/// A machine that is no agent's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OwnMachine {
    pub node: Node,
}

/// The answer to `GET /health` (`ok`) and `GET /ready` (`ready`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub status: String,
}

/// The answer to `DELETE /nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodesRemoved {
    /// `removed`.
    pub status: String,
    /// How many machines.
    pub removed: u32,
}
