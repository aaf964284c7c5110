//! What a machine has and what is used of it.

use crate::base::clock::Timestamp;

/// One reading of a machine's figures.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeStatus {
    /// 0 to 100 over all processors, since the reading before.
    pub cpu_percent: f64,
    /// 0 to 100.
    pub memory_percent: f64,
    /// MiB.
    pub memory_total_mb: u64,
    /// MiB that are not available to new work.
    pub memory_used_mb: u64,
    /// Executions that run now.
    pub active_tasks: u32,
    /// Executions that may run at once; 0 when a legacy agent does not say.
    pub max_tasks: u32,
    /// Seconds since the machine's agent (or control plane) started.
    pub uptime_seconds: u64,
    /// All processors together, 2 cores = 2000; 0 when a legacy agent does not say.
    pub cpu_millicores: u64,
    /// When the figures were read.
    pub collected_at: Timestamp,
}
