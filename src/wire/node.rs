//! An agent's report about itself and its machine.

use super::error::WireError;
use super::number::{count, count_u32, out, out_i32};
use super::proto;
use crate::base::clock::Timestamp;
use crate::model::ends::Mark;
use crate::model::enforced::{Enforced, Missing};
use crate::model::ids::AgentId;
use crate::model::resources::NodeStatus;

/// What an agent says when it is asked how it is.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeReport {
    /// As the agent calls itself; its certificate says who it is.
    pub agent: AgentId,
    /// Of its machine, and how much runs there.
    pub status: NodeStatus,
    /// Changes at every start of the agent; absent from a legacy agent.
    pub boot_id: Option<String>,
    /// Whether it accepts nothing any more.
    pub draining: bool,
    /// See [`super::function::functions_digest`]; absent from a legacy agent.
    pub functions_digest: Option<String>,
    /// What it enforces on an execution.
    pub isolation: Vec<Enforced>,
    /// What it does not, and why.
    pub isolation_missing: Vec<Missing>,
    /// The number of the last end; 0 from an agent that tells none.
    pub ends_sequence: u64,
}

impl NodeReport {
    /// Whether the agent is one of the implementation that Flux replaces.
    pub fn is_legacy(&self) -> bool {
        self.boot_id.is_none()
    }

    /// Up to where its ends go; `None` from a legacy agent, which tells none.
    pub(crate) fn latest_end(&self) -> Option<Mark> {
        let boot_id = self.boot_id.clone()?;
        Some(Mark {
            boot_id,
            sequence: self.ends_sequence,
        })
    }
}

/// Encodes it for the control plane.
pub(crate) fn to_proto(report: NodeReport) -> proto::NodeStatusResponse {
    let status = report.status;
    proto::NodeStatusResponse {
        agent_id: report.agent.to_string(),
        cpu_percent: status.cpu_percent,
        memory_percent: status.memory_percent,
        memory_total_mb: status.memory_total_mb,
        memory_used_mb: status.memory_used_mb,
        active_tasks: out_i32(status.active_tasks),
        max_tasks: out_i32(status.max_tasks),
        uptime_seconds: out(status.uptime_seconds),
        cpu_millicores: out(status.cpu_millicores),
        boot_id: report.boot_id.unwrap_or_default(),
        draining: report.draining,
        functions_digest: report.functions_digest.unwrap_or_default(),
        isolation: report.isolation.iter().map(ToString::to_string).collect(),
        isolation_missing: missing_to_proto(report.isolation_missing),
        ends_sequence: out(report.ends_sequence),
    }
}

/// From an agent; `collected_at` is when the answer came, because the protocol does not say.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn from_proto(
    message: proto::NodeStatusResponse,
    collected_at: Timestamp,
) -> Result<NodeReport, WireError> {
    let status = NodeStatus {
        cpu_percent: percent(message.cpu_percent),
        memory_percent: percent(message.memory_percent),
        memory_total_mb: message.memory_total_mb,
        memory_used_mb: message.memory_used_mb,
        active_tasks: count_u32("active_tasks", message.active_tasks)?,
        max_tasks: count_u32("max_tasks", message.max_tasks)?,
        uptime_seconds: count("uptime_seconds", message.uptime_seconds)?,
        cpu_millicores: count("cpu_millicores", message.cpu_millicores)?,
        collected_at,
    };
    Ok(NodeReport {
        agent: AgentId::new(&message.agent_id)?,
        status,
        boot_id: non_empty(message.boot_id),
        draining: message.draining,
        functions_digest: non_empty(message.functions_digest),
        isolation: message
            .isolation
            .iter()
            .filter_map(|word| enforced(word))
            .collect(),
        isolation_missing: missing_from_proto(message.isolation_missing),
        ends_sequence: count("ends_sequence", message.ends_sequence)?,
    })
}

fn missing_to_proto(missing: Vec<Missing>) -> Vec<proto::MissingIsolation> {
    missing
        .into_iter()
        .map(|Missing { what, reason }| proto::MissingIsolation {
            what: what.to_string(),
            reason,
        })
        .collect()
}

fn missing_from_proto(missing: Vec<proto::MissingIsolation>) -> Vec<Missing> {
    missing
        .into_iter()
        .filter_map(|proto::MissingIsolation { what, reason }| {
            let what = enforced(&what)?;
            Some(Missing { what, reason })
        })
        .collect()
}

/// A word that is not known here is of a later agent: nobody here asks for what it means.
fn enforced(word: &str) -> Option<Enforced> {
    let known = Enforced::parse(word);
    if known.is_none() {
        log::debug!("an agent reports an isolation that is not known here: {word:?}");
    }
    known
}

/// A NaN would poison every comparison that placement makes.
fn percent(value: f64) -> f64 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, 100.0)
    }
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> NodeReport {
        NodeReport {
            agent: AgentId::new("agent-1").expect("id"),
            status: NodeStatus {
                cpu_percent: 12.5,
                memory_percent: 50.0,
                memory_total_mb: 4096,
                memory_used_mb: 2048,
                active_tasks: 2,
                max_tasks: 64,
                uptime_seconds: 99,
                cpu_millicores: 2000,
                collected_at: Timestamp::from_millis(5),
            },
            boot_id: Some("b1".into()),
            draining: true,
            functions_digest: Some("d1".into()),
            isolation: vec![Enforced::Memory],
            isolation_missing: vec![Missing {
                what: Enforced::Files,
                reason: "no Landlock".into(),
            }],
            ends_sequence: 7,
        }
    }

    #[test]
    fn a_report_survives_the_wire() {
        let back = from_proto(to_proto(report()), Timestamp::from_millis(5)).expect("valid");
        assert_eq!(back, report());
        assert!(!back.is_legacy());
    }

    #[test]
    fn an_isolation_that_only_a_later_agent_knows_is_passed_over() {
        let mut message = to_proto(report());
        message.isolation.push("walls".into());
        message.isolation_missing.push(proto::MissingIsolation {
            what: "moats".into(),
            reason: "no water".into(),
        });
        let back = from_proto(message, Timestamp::from_millis(5)).expect("valid");
        assert_eq!(back, report());
    }

    #[test]
    fn figures_that_make_no_sense_cannot_reach_placement() {
        let message = proto::NodeStatusResponse {
            agent_id: "a".into(),
            cpu_percent: f64::NAN,
            memory_percent: f64::INFINITY,
            ..Default::default()
        };
        let back = from_proto(message, Timestamp::default()).expect("valid");
        assert_eq!(
            (back.status.cpu_percent, back.status.memory_percent),
            (0.0, 100.0)
        );
        assert!(back.is_legacy());
    }
}
