//! A function's configuration as it is stored.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::json::{self, millis, text_of};
use crate::base::units::Mib;
use crate::model::function::{Behavior, Env, FunctionConfig, HandlerPath};
use crate::model::ids::FunctionName;
use crate::model::isolation::{
    FileIsolation, IsolationRequest, NetworkIsolation, SyscallIsolation, UserIsolation,
};

#[derive(Serialize, Deserialize)]
#[serde(tag = "format")]
enum StoredConfig {
    #[serde(rename = "1")]
    V1(ConfigV1),
}

#[derive(Serialize, Deserialize)]
struct ConfigV1 {
    name: String,
    handler: String,
    cpu_millicores: Option<NonZeroU32>,
    memory_mib: Option<u64>,
    disk_mib: Option<u64>,
    pids: Option<NonZeroU32>,
    timeout_ms: Option<u64>,
    max_concurrency: NonZeroU32,
    max_concurrency_behavior: BehaviorV1,
    resource_pressure_behavior: BehaviorV1,
    max_wait_ms: u64,
    env: Env,
    isolation: IsolationV1,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BehaviorV1 {
    Exit,
    Wait,
}

/// Words; nothing where the function leaves it to the agent.
#[derive(Serialize, Deserialize)]
struct IsolationV1 {
    user: Option<String>,
    network: Option<String>,
    files: Option<String>,
    syscalls: Option<String>,
}

/// Equal configurations give equal texts.
pub(crate) fn encode(config: &FunctionConfig) -> String {
    let behavior = |behavior| match behavior {
        Behavior::Exit => BehaviorV1::Exit,
        Behavior::Wait => BehaviorV1::Wait,
    };
    json::encode(&StoredConfig::V1(ConfigV1 {
        name: config.name.as_str().to_owned(),
        handler: config.handler.as_str().to_owned(),
        cpu_millicores: config.cpu_millicores,
        memory_mib: config.memory.map(|memory| memory.0),
        disk_mib: config.disk.map(|disk| disk.0),
        pids: config.pids,
        timeout_ms: config.timeout.map(millis),
        max_concurrency: config.max_concurrency,
        max_concurrency_behavior: behavior(config.max_concurrency_behavior),
        resource_pressure_behavior: behavior(config.resource_pressure_behavior),
        max_wait_ms: millis(config.max_wait),
        env: config.env.clone(),
        isolation: to_words(&config.isolation),
    }))
}

/// # Errors
/// What makes the text no configuration.
pub(crate) fn decode(text: &str) -> Result<FunctionConfig, String> {
    let StoredConfig::V1(stored) = serde_json::from_str(text).map_err(text_of)?;
    let behavior = |behavior| match behavior {
        BehaviorV1::Exit => Behavior::Exit,
        BehaviorV1::Wait => Behavior::Wait,
    };
    Ok(FunctionConfig {
        name: FunctionName::new(&stored.name).map_err(text_of)?,
        handler: HandlerPath::new(&stored.handler).map_err(text_of)?,
        cpu_millicores: stored.cpu_millicores,
        memory: stored.memory_mib.map(Mib),
        disk: stored.disk_mib.map(Mib),
        pids: stored.pids,
        timeout: stored.timeout_ms.map(Duration::from_millis),
        max_concurrency: stored.max_concurrency,
        max_concurrency_behavior: behavior(stored.max_concurrency_behavior),
        resource_pressure_behavior: behavior(stored.resource_pressure_behavior),
        max_wait: Duration::from_millis(stored.max_wait_ms),
        env: stored.env,
        isolation: from_words(&stored.isolation)?,
    })
}

fn to_words(request: &IsolationRequest) -> IsolationV1 {
    let word = |word: Option<&'static str>| word.map(str::to_owned);
    IsolationV1 {
        user: word(request.user.map(UserIsolation::as_str)),
        network: word(request.network.map(NetworkIsolation::as_str)),
        files: word(request.files.map(FileIsolation::as_str)),
        syscalls: word(request.syscalls.map(SyscallIsolation::as_str)),
    }
}

fn from_words(words: &IsolationV1) -> Result<IsolationRequest, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand: what the first released program has stored must stay readable.
    const CONFIG: &str = r#"{"format":"1","name":"resize","handler":"bin/run","cpu_millicores":500,"memory_mib":128,"disk_mib":64,"pids":20,"timeout_ms":30000,"max_concurrency":5,"max_concurrency_behavior":"wait","resource_pressure_behavior":"exit","max_wait_ms":300000,"env":{"A":"1","B":"2"},"isolation":{"user":"own","network":"none","files":null,"syscalls":"open"}}"#;

    #[test]
    fn the_first_format_reads_back_and_is_written_alike() {
        let config = decode(CONFIG).expect("config");
        assert_eq!(config.timeout, Some(Duration::from_secs(30)));
        assert_eq!(config.memory, Some(Mib(128)));
        assert_eq!(
            (config.disk, config.pids),
            (Some(Mib(64)), NonZeroU32::new(20))
        );
        assert_eq!(config.max_concurrency_behavior, Behavior::Wait);
        let asked = IsolationRequest {
            user: Some(UserIsolation::Own),
            network: Some(NetworkIsolation::None),
            files: None,
            syscalls: Some(SyscallIsolation::Open),
        };
        assert_eq!(config.isolation, asked);
        assert_eq!(encode(&config), CONFIG);
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        for (from, to, complaint) in [
            ("bin/run", "../run", "handler"),
            (r#""none""#, r#""some""#, "isolation"),
            (r#""isolation""#, r#""isolated""#, "isolation"),
            (r#""format":"1""#, r#""format":"2""#, "variant"),
        ] {
            let error = decode(&CONFIG.replace(from, to)).expect_err(to);
            assert!(error.contains(complaint), "{error}");
        }
    }
}
