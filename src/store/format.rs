//! The stored form of functions and agents: JSON with a version, apart from the domain types.
//!
//! Compatibility: a field that is added has a default; a change of meaning is a new variant, and
//! the old one stays readable. What an older program cannot read it refuses, never guesses.
//! Configurations that name limits or isolation of the second format are written in it, because an
//! older program would pass over them and run the function without; all others in the first.
//! States are words, because an enum's position would change its meaning when one is added.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::units::Mib;
use crate::model::agent::{Agent, AgentState, Machine};
use crate::model::function::{Behavior, Env, FunctionConfig, HandlerPath};
use crate::model::ids::{AgentId, FunctionName};
use crate::model::isolation::{
    FileIsolation, IsolationRequest, NetworkIsolation, SyscallIsolation, UserIsolation,
};

#[derive(Serialize, Deserialize)]
#[serde(tag = "format")]
enum StoredConfig {
    #[serde(rename = "1")]
    V1(ConfigV1),
    #[serde(rename = "2")]
    V2(ConfigV2),
}

#[derive(Serialize, Deserialize)]
struct ConfigV2 {
    #[serde(flatten)]
    first: ConfigV1,
    disk_mib: Option<u64>,
    pids: Option<NonZeroU32>,
    isolation: IsolationV2,
}

/// Words; nothing where the function leaves it to the agent.
#[derive(Serialize, Deserialize)]
struct IsolationV2 {
    user: Option<String>,
    network: Option<String>,
    files: Option<String>,
    syscalls: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ConfigV1 {
    name: String,
    handler: String,
    cpu_millicores: Option<NonZeroU32>,
    memory_mib: Option<u64>,
    timeout_ms: Option<u64>,
    max_concurrency: NonZeroU32,
    max_concurrency_behavior: BehaviorV1,
    resource_pressure_behavior: BehaviorV1,
    max_wait_ms: u64,
    env: Env,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BehaviorV1 {
    Exit,
    Wait,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "format")]
enum StoredAgent {
    #[serde(rename = "1")]
    V1(AgentV1),
}

#[derive(Serialize, Deserialize)]
struct AgentV1 {
    id: String,
    address: String,
    tls: bool,
    state: String,
    machine: Option<MachineV1>,
    registered_at_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct MachineV1 {
    provider: String,
    instance_id: String,
    instance_type: String,
}

/// Equal configurations give equal texts.
pub(crate) fn encode_config(config: &FunctionConfig) -> String {
    let first = to_first(config);
    let is_first = config.disk.is_none()
        && config.pids.is_none()
        && config.isolation == IsolationRequest::default();
    encode(&if is_first {
        StoredConfig::V1(first)
    } else {
        StoredConfig::V2(ConfigV2 {
            first,
            disk_mib: config.disk.map(|disk| disk.0),
            pids: config.pids,
            isolation: to_words(&config.isolation),
        })
    })
}

/// # Errors
/// What makes the text no configuration.
pub(crate) fn decode_config(text: &str) -> Result<FunctionConfig, String> {
    match serde_json::from_str(text).map_err(text_of)? {
        StoredConfig::V1(stored) => from_first(stored),
        StoredConfig::V2(stored) => Ok(FunctionConfig {
            disk: stored.disk_mib.map(Mib),
            pids: stored.pids,
            isolation: from_words(&stored.isolation)?,
            ..from_first(stored.first)?
        }),
    }
}

fn to_first(config: &FunctionConfig) -> ConfigV1 {
    let behavior = |behavior| match behavior {
        Behavior::Exit => BehaviorV1::Exit,
        Behavior::Wait => BehaviorV1::Wait,
    };
    ConfigV1 {
        name: config.name.as_str().to_owned(),
        handler: config.handler.as_str().to_owned(),
        cpu_millicores: config.cpu_millicores,
        memory_mib: config.memory.map(|memory| memory.0),
        timeout_ms: config.timeout.map(millis),
        max_concurrency: config.max_concurrency,
        max_concurrency_behavior: behavior(config.max_concurrency_behavior),
        resource_pressure_behavior: behavior(config.resource_pressure_behavior),
        max_wait_ms: millis(config.max_wait),
        env: config.env.clone(),
    }
}

fn from_first(stored: ConfigV1) -> Result<FunctionConfig, String> {
    let behavior = |behavior| match behavior {
        BehaviorV1::Exit => Behavior::Exit,
        BehaviorV1::Wait => Behavior::Wait,
    };
    Ok(FunctionConfig {
        name: FunctionName::new(&stored.name).map_err(text_of)?,
        handler: HandlerPath::new(&stored.handler).map_err(text_of)?,
        cpu_millicores: stored.cpu_millicores,
        memory: stored.memory_mib.map(Mib),
        disk: None,
        pids: None,
        timeout: stored.timeout_ms.map(Duration::from_millis),
        max_concurrency: stored.max_concurrency,
        max_concurrency_behavior: behavior(stored.max_concurrency_behavior),
        resource_pressure_behavior: behavior(stored.resource_pressure_behavior),
        max_wait: Duration::from_millis(stored.max_wait_ms),
        env: stored.env,
        isolation: IsolationRequest::default(),
    })
}

fn to_words(request: &IsolationRequest) -> IsolationV2 {
    let word = |word: Option<&'static str>| word.map(str::to_owned);
    IsolationV2 {
        user: word(request.user.map(UserIsolation::as_str)),
        network: word(request.network.map(NetworkIsolation::as_str)),
        files: word(request.files.map(FileIsolation::as_str)),
        syscalls: word(request.syscalls.map(SyscallIsolation::as_str)),
    }
}

fn from_words(words: &IsolationV2) -> Result<IsolationRequest, String> {
    Ok(IsolationRequest {
        user: answer(words.user.as_deref(), UserIsolation::parse)?,
        network: answer(words.network.as_deref(), NetworkIsolation::parse)?,
        files: answer(words.files.as_deref(), FileIsolation::parse)?,
        syscalls: answer(words.syscalls.as_deref(), SyscallIsolation::parse)?,
    })
}

fn answer<T>(word: Option<&str>, parse: fn(&str) -> Option<T>) -> Result<Option<T>, String> {
    word.map(|word| parse(word).ok_or_else(|| format!("no isolation is called {word:?}")))
        .transpose()
}

pub(super) fn encode_agent(agent: &Agent) -> String {
    encode(&StoredAgent::V1(AgentV1 {
        id: agent.id.as_str().to_owned(),
        address: agent.address.clone(),
        tls: agent.tls,
        state: agent.state.as_str().to_owned(),
        machine: agent.machine.as_ref().map(|machine| MachineV1 {
            provider: machine.provider.clone(),
            instance_id: machine.instance_id.clone(),
            instance_type: machine.instance_type.clone(),
        }),
        registered_at_ms: agent.registered_at.as_millis(),
    }))
}

/// # Errors
/// What makes the text no agent.
pub(super) fn decode_agent(text: &str) -> Result<Agent, String> {
    let StoredAgent::V1(stored) = serde_json::from_str(text).map_err(text_of)?;
    Ok(Agent {
        id: AgentId::new(&stored.id).map_err(text_of)?,
        address: stored.address,
        tls: stored.tls,
        state: AgentState::parse(&stored.state)
            .ok_or_else(|| format!("no agent state is called {:?}", stored.state))?,
        machine: stored.machine.map(|machine| Machine {
            provider: machine.provider,
            instance_id: machine.instance_id,
            instance_type: machine.instance_type,
        }),
        registered_at: Timestamp::from_millis(stored.registered_at_ms),
    })
}

fn encode(value: &impl Serialize) -> String {
    // Texts, numbers and maps with text keys have a JSON form without exception.
    serde_json::to_string(value).expect("stored forms are serialisable")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn text_of(error: impl Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand: what the first released program has stored must stay readable.
    const CONFIG: &str = r#"{"format":"1","name":"resize","handler":"bin/run","cpu_millicores":500,"memory_mib":128,"timeout_ms":30000,"max_concurrency":5,"max_concurrency_behavior":"wait","resource_pressure_behavior":"exit","max_wait_ms":300000,"env":{"A":"1","B":"2"}}"#;
    const SECOND: &str = r#"{"format":"2","name":"resize","handler":"bin/run","cpu_millicores":500,"memory_mib":128,"timeout_ms":30000,"max_concurrency":5,"max_concurrency_behavior":"wait","resource_pressure_behavior":"exit","max_wait_ms":300000,"env":{"A":"1","B":"2"},"disk_mib":64,"pids":20,"isolation":{"user":"own","network":"none","files":null,"syscalls":"open"}}"#;
    const AGENT: &str = r#"{"format":"1","id":"a1","address":"10.0.0.1:50052","tls":true,"state":"online","machine":{"provider":"aws","instance_id":"i-1","instance_type":"t3.small"},"registered_at_ms":1000}"#;

    #[test]
    fn the_first_format_reads_back_and_is_written_alike() {
        let config = decode_config(CONFIG).expect("config");
        assert_eq!(config.timeout, Some(Duration::from_secs(30)));
        assert_eq!(config.memory, Some(Mib(128)));
        assert_eq!(config.max_concurrency_behavior, Behavior::Wait);
        assert_eq!(encode_config(&config), CONFIG);
        let agent = decode_agent(AGENT).expect("agent");
        assert_eq!(agent.state, AgentState::Online);
        assert_eq!(encode_agent(&agent), AGENT);
    }

    #[test]
    fn what_the_first_format_lacks_is_written_in_the_second_and_reads_back() {
        let config = decode_config(SECOND).expect("config");
        assert_eq!(
            (config.disk, config.memory),
            (Some(Mib(64)), Some(Mib(128)))
        );
        assert_eq!(config.pids, NonZeroU32::new(20));
        let asked = IsolationRequest {
            user: Some(UserIsolation::Own),
            network: Some(NetworkIsolation::None),
            files: None,
            syscalls: Some(SyscallIsolation::Open),
        };
        assert_eq!(config.isolation, asked);
        assert_eq!(encode_config(&config), SECOND);
        let first = decode_config(CONFIG).expect("config");
        for changed in [
            FunctionConfig {
                disk: Some(Mib(1)),
                ..first.clone()
            },
            FunctionConfig {
                pids: NonZeroU32::new(1),
                ..first.clone()
            },
            FunctionConfig {
                isolation: asked,
                ..first.clone()
            },
        ] {
            let text = encode_config(&changed);
            assert!(text.starts_with(r#"{"format":"2""#), "{text}");
            assert_eq!(decode_config(&text), Ok(changed));
        }
        for (from, to) in [("none", "some"), (r#""isolation""#, r#""isolated""#)] {
            let error = decode_config(&SECOND.replace(from, to)).expect_err(to);
            assert!(error.contains("isolation"), "{error}");
        }
    }

    #[test]
    fn an_unknown_format_or_state_is_refused() {
        for (text, complaint) in [
            (AGENT.replace(r#""1""#, r#""2""#), "variant"),
            (AGENT.replace("online", "asleep"), "asleep"),
            (AGENT.replace("a1", "../a"), "agent id"),
            ("{}".to_owned(), "format"),
            (String::new(), "EOF"),
        ] {
            let error = decode_agent(&text).expect_err(&text);
            assert!(error.contains(complaint), "{error}");
        }
        assert!(decode_config(&CONFIG.replace("bin/run", "../run")).is_err());
    }
}
