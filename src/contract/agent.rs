//! Agents, and how they come into the fleet.

use serde::{Deserialize, Serialize};

use super::machine::Node;
use super::null::null_as_default;

/// An agent, as in `GET /agents`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agent {
    /// Unique in the fleet.
    pub id: String,
    /// `host:port`.
    pub address: String,
    /// Whether it is dialled with mTLS.
    #[serde(default)]
    pub tls: bool,
    /// `provisioning`, `offline`, `online` or `draining`.
    pub status: String,
    /// The same, finer: also `syncing`.
    #[serde(default)]
    pub phase: String,
    /// Executions that are known to run there.
    #[serde(default)]
    pub active_count: u32,
    /// RFC 3339; null before the first answer.
    pub last_heartbeat: Option<String>,
    /// Of the cloud whose machine it is on; empty for others.
    #[serde(default)]
    pub provider: String,
    /// The machine's id there.
    #[serde(default)]
    pub provider_id: String,
    /// The machine's type there.
    #[serde(default)]
    pub instance_type: String,
    /// The machine's figures; null before the first answer.
    pub node_status: Option<Node>,
    /// What is enforced on every execution that does not ask for less.
    #[serde(default, deserialize_with = "null_as_default")]
    pub isolation: Vec<String>,
    /// What is not, and why.
    #[serde(default, deserialize_with = "null_as_default")]
    pub isolation_missing: Vec<MissingIsolation>,
    /// How many functions it holds.
    #[serde(default)]
    pub functions: usize,
    /// RFC 3339.
    #[serde(default)]
    pub registered_at: String,
}

/// Something that an agent does not enforce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MissingIsolation {
    pub what: String,
    /// Why, for people.
    pub reason: String,
}

/// The body of `POST /agents/register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Register {
    /// `host:port`.
    pub address: String,
    /// Whether to dial with mTLS; the control plane's configuration decides when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Registered {
    /// `registered`.
    pub status: String,
    /// As the agent calls itself.
    pub id: String,
    /// As it was given.
    pub address: String,
    /// The machine's figures.
    pub node: Option<Node>,
}

/// The body of `POST /agents/enroll`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enroll {
    pub agent_id: String,
}

/// The answer to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enrolled {
    pub agent_id: String,
    /// For `flux-agent join`; works once, and is a secret until then.
    pub token: String,
    /// RFC 3339.
    pub expires_at: String,
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolled")
            .field("agent_id", &self.agent_id)
            .field("token", &"…")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// The body of `POST /agents/{id}/drain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Drain {
    /// `false` takes the drain back.
    pub drain: bool,
}

/// The answer to `DELETE /agents/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removed {
    /// `removed`.
    pub status: String,
    pub id: String,
}
