//! What the API shows of agents, functions and executions: the JSON shapes of the contract.

use serde::Serialize;
use serde_json::{Value, json};

use crate::base::clock::Timestamp;
use crate::base::units::format_duration;
use crate::control::fleet::AgentView;
use crate::control::sync::{AgentOutcome, OutcomeStatus};
use crate::model::enforced::Missing;
use crate::model::function::{Function, Version};
use crate::model::isolation::{
    FileIsolation, IsolationRequest, NetworkIsolation, SyscallIsolation, UserIsolation,
};
use crate::model::resources::NodeStatus;

/// An agent, as in `GET /agents`.
#[derive(Debug, Serialize)]
pub struct AgentJson {
    id: String,
    address: String,
    tls: bool,
    status: &'static str,
    phase: &'static str,
    active_count: u32,
    last_heartbeat: Option<String>,
    provider: String,
    provider_id: String,
    instance_type: String,
    node_status: Option<NodeJson>,
    isolation: Vec<&'static str>,
    isolation_missing: Vec<MissingJson>,
    functions: usize,
    registered_at: String,
}

/// Something that an agent does not enforce.
#[derive(Debug, Serialize)]
struct MissingJson {
    what: &'static str,
    reason: String,
}

/// A machine's figures.
#[derive(Debug, Serialize)]
pub struct NodeJson {
    cpu_percent: f64,
    memory_percent: f64,
    memory_total_mb: u64,
    memory_used_mb: u64,
    active_tasks: u32,
    max_tasks: u32,
    uptime_seconds: u64,
    collected_at: String,
}

/// What became of a change on one agent.
#[derive(Debug, Serialize)]
pub struct OutcomeJson {
    agent_id: String,
    status: &'static str,
    message: String,
}

/// A function, as in `GET /functions`.
#[derive(Debug, Serialize)]
pub struct FunctionJson {
    name: String,
    handler: String,
    active_version: Option<u64>,
    digest: Option<String>,
    resources: ResourcesJson,
    timeout: Option<f64>,
    max_concurrency: u32,
    max_concurrency_behavior: &'static str,
    resource_pressure_behavior: &'static str,
    max_wait: String,
    /// Names only: values may be secrets.
    env: Vec<String>,
    isolation: IsolationJson,
    created_at: String,
    updated_at: String,
}

#[derive(Debug, Serialize)]
struct ResourcesJson {
    cpu: Option<u32>,
    memory: Option<u64>,
    disk: Option<u64>,
    pids: Option<u32>,
}

/// What the function asks for; null is the agent's to say.
#[derive(Debug, Serialize)]
struct IsolationJson {
    user: Option<&'static str>,
    network: Option<&'static str>,
    files: Option<&'static str>,
    syscalls: Option<&'static str>,
}

impl IsolationJson {
    fn new(request: &IsolationRequest) -> IsolationJson {
        IsolationJson {
            user: request.user.map(UserIsolation::as_str),
            network: request.network.map(NetworkIsolation::as_str),
            files: request.files.map(FileIsolation::as_str),
            syscalls: request.syscalls.map(SyscallIsolation::as_str),
        }
    }
}

/// A version, as in `GET /functions/{name}/versions`.
#[derive(Debug, Serialize)]
pub struct VersionJson {
    version: u64,
    digest: String,
    size_bytes: u64,
    created_at: String,
    active: bool,
}

impl AgentJson {
    /// From the fleet's view.
    pub fn new(view: &AgentView) -> AgentJson {
        let machine = view.agent.machine.as_ref();
        let text = |of: fn(&crate::model::agent::Machine) -> &String| {
            machine.map(of).cloned().unwrap_or_default()
        };
        AgentJson {
            id: view.agent.id.to_string(),
            address: view.agent.address.clone(),
            tls: view.agent.tls,
            status: view.agent.state.api_status(),
            phase: view.agent.state.as_str(),
            active_count: view.active_count,
            last_heartbeat: view.contact.last_heartbeat.map(Timestamp::to_rfc3339),
            provider: text(|machine| &machine.provider),
            provider_id: text(|machine| &machine.instance_id),
            instance_type: text(|machine| &machine.instance_type),
            node_status: view.contact.node.as_ref().map(NodeJson::new),
            isolation: view
                .contact
                .isolation
                .iter()
                .map(|it| it.as_str())
                .collect(),
            isolation_missing: view.contact.isolation_missing.iter().map(missing).collect(),
            functions: view.functions,
            registered_at: view.agent.registered_at.to_rfc3339(),
        }
    }
}

fn missing(missing: &Missing) -> MissingJson {
    MissingJson {
        what: missing.what.as_str(),
        reason: missing.reason.clone(),
    }
}

impl NodeJson {
    /// From the figures.
    pub fn new(node: &NodeStatus) -> NodeJson {
        NodeJson {
            cpu_percent: node.cpu_percent,
            memory_percent: node.memory_percent,
            memory_total_mb: node.memory_total_mb,
            memory_used_mb: node.memory_used_mb,
            active_tasks: node.active_tasks,
            max_tasks: node.max_tasks,
            uptime_seconds: node.uptime_seconds,
            collected_at: node.collected_at.to_rfc3339(),
        }
    }
}

impl FunctionJson {
    /// From the model.
    pub fn new(function: &Function) -> FunctionJson {
        let config = &function.config;
        let active = function.active.as_ref();
        FunctionJson {
            name: config.name.to_string(),
            handler: config.handler.as_str().to_owned(),
            active_version: active.map(|version| version.number),
            digest: active.map(|version| version.digest.to_string()),
            resources: ResourcesJson {
                cpu: config.cpu_millicores.map(std::num::NonZeroU32::get),
                memory: config.memory.map(|memory| memory.0),
                disk: config.disk.map(|disk| disk.0),
                pids: config.pids.map(std::num::NonZeroU32::get),
            },
            timeout: config.timeout.map(|timeout| timeout.as_secs_f64()),
            max_concurrency: config.max_concurrency.get(),
            max_concurrency_behavior: config.max_concurrency_behavior.as_str(),
            resource_pressure_behavior: config.resource_pressure_behavior.as_str(),
            max_wait: format_duration(config.max_wait),
            env: config.env.keys().cloned().collect(),
            isolation: IsolationJson::new(&config.isolation),
            created_at: function.created_at.to_rfc3339(),
            updated_at: function.updated_at.to_rfc3339(),
        }
    }
}

impl VersionJson {
    /// From the model; `function` says which one is active.
    pub fn new(version: &Version, function: &Function) -> VersionJson {
        VersionJson {
            version: version.number,
            digest: version.digest.to_string(),
            size_bytes: version.size_bytes,
            created_at: version.created_at.to_rfc3339(),
            active: function
                .active
                .as_ref()
                .is_some_and(|active| active.number == version.number),
        }
    }
}

/// The answer to a registration, a deploy or a rollback; `count_name` is `registered_count` or
/// `deployed_count`.
pub fn distributed(function: &Function, agents: &[AgentOutcome], count_name: &str) -> Value {
    let succeeded = agents
        .iter()
        .filter(|agent| agent.status == OutcomeStatus::Success)
        .count();
    let outcomes: Vec<_> = agents
        .iter()
        .map(|agent| OutcomeJson {
            agent_id: agent.agent.to_string(),
            status: agent.status.as_str(),
            message: agent.message.clone(),
        })
        .collect();
    json!({
        "status": "success",
        "function": function.config.name.as_str(),
        "version": function.active.as_ref().map(|version| version.number),
        count_name: succeeded,
        "total_agents": agents.len(),
        "agents": outcomes,
    })
}
