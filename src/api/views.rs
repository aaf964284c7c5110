//! What the fleet knows, as the contract shows it.

use crate::base::clock::Timestamp;
use crate::base::units::format_duration;
use crate::contract;
use crate::control::fleet::AgentView;
use crate::control::functions::Distributed;
use crate::control::sync::OutcomeStatus;
use crate::model::agent::Machine;
use crate::model::enforced::Missing;
use crate::model::function::{Function, Version};
use crate::model::isolation::{
    FileIsolation, IsolationRequest, NetworkIsolation, SyscallIsolation, UserIsolation,
};
use crate::model::output::OutputChunk;
use crate::model::resources::NodeStatus;

pub(crate) fn agent(view: &AgentView) -> contract::agent::Agent {
    let machine = |of: fn(&Machine) -> &String| {
        let machine = view.agent.machine.as_ref();
        machine.map(of).cloned().unwrap_or_default()
    };
    contract::agent::Agent {
        id: view.agent.id.to_string(),
        address: view.agent.address.clone(),
        tls: view.agent.tls,
        status: view.agent.state.api_status().to_owned(),
        phase: view.agent.state.as_str().to_owned(),
        active_count: view.active_count,
        last_heartbeat: view.contact.last_heartbeat.map(Timestamp::to_rfc3339),
        provider: machine(|machine| &machine.provider),
        provider_id: machine(|machine| &machine.instance_id),
        instance_type: machine(|machine| &machine.instance_type),
        node_status: view.contact.node.as_ref().map(node),
        isolation: view
            .contact
            .isolation
            .iter()
            .map(ToString::to_string)
            .collect(),
        isolation_missing: view.contact.isolation_missing.iter().map(missing).collect(),
        functions: view.functions,
        registered_at: view.agent.registered_at.to_rfc3339(),
    }
}

fn missing(missing: &Missing) -> contract::agent::MissingIsolation {
    contract::agent::MissingIsolation {
        what: missing.what.to_string(),
        reason: missing.reason.clone(),
    }
}

/// A machine's figures.
pub(crate) fn node(node: &NodeStatus) -> contract::machine::Node {
    contract::machine::Node {
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

pub(crate) fn function(function: &Function) -> contract::function::Function {
    let config = &function.config;
    let active = function.active.as_ref();
    contract::function::Function {
        name: config.name.to_string(),
        handler: config.handler.as_str().to_owned(),
        active_version: active.map(|version| version.number),
        digest: active.map(|version| version.digest.to_string()),
        resources: contract::function::Resources {
            cpu: config.cpu_millicores.map(std::num::NonZeroU32::get),
            memory: config.memory.map(|memory| memory.0),
            disk: config.disk.map(|disk| disk.0),
            pids: config.pids.map(std::num::NonZeroU32::get),
        },
        timeout: config.timeout.map(|timeout| timeout.as_secs_f64()),
        max_concurrency: config.max_concurrency.get(),
        max_concurrency_behavior: config.max_concurrency_behavior.as_str().to_owned(),
        resource_pressure_behavior: config.resource_pressure_behavior.as_str().to_owned(),
        max_wait: format_duration(config.max_wait),
        env: config.env.keys().cloned().collect(),
        isolation: isolation(&config.isolation),
        created_at: function.created_at.to_rfc3339(),
        updated_at: function.updated_at.to_rfc3339(),
    }
}

fn isolation(request: &IsolationRequest) -> contract::function::Isolation {
    let word = |word: Option<&'static str>| word.map(str::to_owned);
    contract::function::Isolation {
        user: word(request.user.map(UserIsolation::as_str)),
        network: word(request.network.map(NetworkIsolation::as_str)),
        files: word(request.files.map(FileIsolation::as_str)),
        syscalls: word(request.syscalls.map(SyscallIsolation::as_str)),
    }
}

/// A kept version; `of` says which one is active.
pub(crate) fn version(version: &Version, of: &Function) -> contract::function::Version {
    contract::function::Version {
        version: version.number,
        digest: version.digest.to_string(),
        size_bytes: version.size_bytes,
        created_at: version.created_at.to_rfc3339(),
        active: of
            .active
            .as_ref()
            .is_some_and(|active| active.number == version.number),
    }
}

/// The answer to a registration.
pub(crate) fn registered(change: &Distributed) -> contract::function::Distribution {
    contract::function::Distribution {
        registered_count: Some(succeeded(change)),
        ..distribution(change)
    }
}

/// The answer to a deploy or a rollback.
pub(crate) fn deployed(change: &Distributed) -> contract::function::Distribution {
    contract::function::Distribution {
        deployed_count: Some(succeeded(change)),
        ..distribution(change)
    }
}

fn succeeded(change: &Distributed) -> usize {
    change
        .agents
        .iter()
        .filter(|agent| agent.status == OutcomeStatus::Success)
        .count()
}

fn distribution(change: &Distributed) -> contract::function::Distribution {
    let agents = change
        .agents
        .iter()
        .map(|outcome| contract::function::AgentOutcome {
            agent_id: outcome.agent.to_string(),
            status: outcome.status.as_str().to_owned(),
            message: outcome.message.clone(),
        });
    contract::function::Distribution {
        status: "success".to_owned(),
        function: change.function.config.name.to_string(),
        version: change.function.active.as_ref().map(|active| active.number),
        registered_count: None,
        deployed_count: None,
        total_agents: change.agents.len(),
        agents: agents.collect(),
    }
}

/// A piece of live output.
pub(crate) fn chunk(chunk: &OutputChunk) -> contract::execution::OutputChunk {
    contract::execution::OutputChunk {
        stream: chunk.stream.as_str().to_owned(),
        offset: chunk.offset,
        stream_offset: chunk.stream_offset,
        data_base64: openssl::base64::encode_block(&chunk.data),
        data: std::str::from_utf8(&chunk.data).ok().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::output::Stream;

    #[test]
    fn a_chunk_is_shown_as_text_only_where_it_is_text() {
        let mut output = OutputChunk {
            stream: Stream::Stderr,
            offset: 7,
            stream_offset: 3,
            data: b"hi".to_vec(),
        };
        assert_eq!(
            serde_json::to_value(chunk(&output)).expect("json"),
            serde_json::json!({"stream": "stderr", "offset": 7, "stream_offset": 3, "data_base64": "aGk=", "data": "hi"})
        );
        output.data = vec![0xff];
        assert_eq!(chunk(&output).data, None);
    }
}
