//! Functions between the control plane, which decides, and the agents, which hold them.
//!
//! The configuration's digest is made by the control plane, over what an agent is told; to the
//! agent it is an opaque text that it gives back when it is asked what it holds.

use std::num::NonZeroU32;
use std::time::Duration;

use super::error::WireError;
use super::hash::FieldHasher;
use super::isolation;
use super::number::{count, count_u32, out, out_i32};
use super::proto;
use crate::base::units::Mib;
use crate::model::function::{
    Behavior, Code, DEFAULT_MAX_CONCURRENCY, DEFAULT_MAX_WAIT, Env, FunctionConfig, HandlerPath,
    check_env,
};
use crate::model::ids::{Digest, FunctionName};

/// A configuration as an agent receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedConfig {
    /// What the agent enforces. The behaviours towards waiting callers are the control plane's
    /// and stand at their defaults here.
    pub config: FunctionConfig,
    /// To give back in listings; empty from a legacy control plane.
    pub config_digest: String,
}

/// What comes before an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseHeader {
    /// The function's name.
    pub function: FunctionName,
    /// Version 0 when a legacy control plane sends it, which does not count versions.
    pub code: Code,
    /// The archive's size.
    pub size_bytes: u64,
    /// The configuration that comes into force with the code, when one is sent along.
    pub config: Option<ReceivedConfig>,
}

/// What an agent holds of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldFunction {
    /// Under which it is called.
    pub name: FunctionName,
    /// As it was received.
    pub config_digest: String,
    /// In force there; absent before the first deploy.
    pub code: Option<Code>,
}

/// Lowercase hexadecimal SHA-256 over every field that an agent is told; equal for equal
/// configurations whatever the order of `env`.
pub fn config_digest(config: &FunctionConfig) -> Digest {
    let asked = isolation::to_proto(&config.isolation);
    let fixed = FieldHasher::new("flux function config 1")
        .text(config.name.as_str())
        .text(config.handler.as_str())
        .number(config.cpu_millicores.map_or(0, |cpu| cpu.get().into()))
        .number(config.memory.map_or(0, |memory| memory.0))
        .number(config.disk.map_or(0, |disk| disk.0))
        .number(config.pids.map_or(0, |pids| pids.get().into()))
        .number(timeout_seconds(config.timeout).into())
        .number(config.max_concurrency.get().into())
        .text(config.max_concurrency_behavior.as_str())
        .text(&asked.user)
        .text(&asked.network)
        .text(&asked.files)
        .text(&asked.syscalls)
        .number(config.env.len() as u64);
    config
        .env
        .iter()
        .fold(fixed, |hasher, (name, value)| hasher.text(name).text(value))
        .finish()
}

/// Encodes it for an agent.
pub(crate) fn config_to_proto(config: &FunctionConfig) -> proto::FunctionConfig {
    proto::FunctionConfig {
        name: config.name.to_string(),
        handler: config.handler.as_str().to_owned(),
        cpu_millicores: out_i32(config.cpu_millicores.map_or(0, NonZeroU32::get)),
        memory_mb: out(config.memory.map_or(0, |memory| memory.0)),
        timeout_seconds: out_i32(timeout_seconds(config.timeout)),
        env: config.env.clone().into_iter().collect(),
        max_concurrency: out_i32(config.max_concurrency.get()),
        max_concurrency_behavior: config.max_concurrency_behavior.as_str().to_owned(),
        config_digest: config_digest(config).as_str().to_owned(),
        disk_mb: out(config.disk.map_or(0, |disk| disk.0)),
        pids: out_i32(config.pids.map_or(0, NonZeroU32::get)),
        isolation: Some(isolation::to_proto(&config.isolation)),
    }
}

/// From a control plane.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn config_from_proto(
    message: proto::FunctionConfig,
) -> Result<ReceivedConfig, WireError> {
    let env: Env = message.env.into_iter().collect();
    check_env(&env)?;
    let memory = count("memory_mb", message.memory_mb)?;
    let timeout = count_u32("timeout_seconds", message.timeout_seconds)?;
    let max_concurrency = count_u32("max_concurrency", message.max_concurrency)?;
    let disk = count("disk_mb", message.disk_mb)?;
    let asked = message.isolation.unwrap_or_default();
    let config = FunctionConfig {
        name: FunctionName::new(&message.name)?,
        handler: HandlerPath::new(&message.handler)?,
        cpu_millicores: NonZeroU32::new(count_u32("cpu_millicores", message.cpu_millicores)?),
        memory: (memory > 0).then_some(Mib(memory)),
        disk: (disk > 0).then_some(Mib(disk)),
        pids: NonZeroU32::new(count_u32("pids", message.pids)?),
        timeout: (timeout > 0).then(|| Duration::from_secs(timeout.into())),
        max_concurrency: NonZeroU32::new(max_concurrency).unwrap_or(DEFAULT_MAX_CONCURRENCY),
        max_concurrency_behavior: behavior(&message.max_concurrency_behavior)?,
        resource_pressure_behavior: Behavior::default(),
        max_wait: DEFAULT_MAX_WAIT,
        env,
        isolation: isolation::from_proto(&asked)?,
    };
    Ok(ReceivedConfig {
        config,
        config_digest: message.config_digest,
    })
}

/// For an agent; the control plane sends the configuration along when the header is to carry it.
pub(crate) fn header_to_proto(
    function: &FunctionName,
    code: &Code,
    size_bytes: u64,
    config: Option<&FunctionConfig>,
) -> proto::ReleaseHeader {
    proto::ReleaseHeader {
        function_name: function.to_string(),
        version: out(code.version),
        digest: code.digest.as_str().to_owned(),
        size_bytes: out(size_bytes),
        config: config.map(config_to_proto),
    }
}

/// From a control plane.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn header_from_proto(message: proto::ReleaseHeader) -> Result<ReleaseHeader, WireError> {
    Ok(ReleaseHeader {
        function: FunctionName::new(&message.function_name)?,
        code: Code {
            version: count("version", message.version)?,
            digest: Digest::new(&message.digest)?,
        },
        size_bytes: count("size_bytes", message.size_bytes)?,
        config: message.config.map(config_from_proto).transpose()?,
    })
}

/// Encodes it for the control plane.
pub(crate) fn held_to_proto(held: &HeldFunction) -> proto::HeldFunction {
    let (version, digest) = match &held.code {
        Some(code) => (out(code.version), code.digest.as_str().to_owned()),
        None => (0, String::new()),
    };
    proto::HeldFunction {
        name: held.name.to_string(),
        config_digest: held.config_digest.clone(),
        version,
        digest,
    }
}

/// From an agent.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn held_from_proto(message: proto::HeldFunction) -> Result<HeldFunction, WireError> {
    let code = match message.digest.as_str() {
        "" => None,
        digest => Some(Code {
            version: count("version", message.version)?,
            digest: Digest::new(digest)?,
        }),
    };
    Ok(HeldFunction {
        name: FunctionName::new(&message.name)?,
        config_digest: message.config_digest,
        code,
    })
}

/// Over a whole listing, in whatever order it comes: equal digests need no listing.
pub(crate) fn functions_digest(held: &[HeldFunction]) -> Digest {
    let mut sorted: Vec<_> = held.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    sorted
        .into_iter()
        .fold(
            FieldHasher::new("flux held functions 1"),
            |hasher, function| {
                let (version, digest) = match &function.code {
                    Some(code) => (code.version, code.digest.as_str()),
                    None => (0, ""),
                };
                hasher
                    .text(function.name.as_str())
                    .text(&function.config_digest)
                    .number(version)
                    .text(digest)
            },
        )
        .finish()
}

/// The protocol counts whole seconds: a part of one counts as one, because 0 means none.
fn timeout_seconds(timeout: Option<Duration>) -> u32 {
    timeout.map_or(0, |timeout| {
        let whole = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
        u32::try_from(whole).unwrap_or(u32::MAX).max(1)
    })
}

fn behavior(text: &str) -> Result<Behavior, WireError> {
    match text {
        "" | "exit" => Ok(Behavior::Exit),
        "wait" => Ok(Behavior::Wait),
        _ => Err(WireError::word(
            "max_concurrency_behavior",
            text,
            "exit or wait",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::isolation::{
        FileIsolation, IsolationRequest, NetworkIsolation, SyscallIsolation, UserIsolation,
    };

    fn config() -> FunctionConfig {
        FunctionConfig {
            disk: Some(Mib(64)),
            pids: NonZeroU32::new(20),
            isolation: IsolationRequest {
                user: Some(UserIsolation::Own),
                network: Some(NetworkIsolation::None),
                files: Some(FileIsolation::Open),
                syscalls: None,
            },
            name: FunctionName::new("resize").expect("name"),
            handler: HandlerPath::new("bin/run").expect("handler"),
            cpu_millicores: NonZeroU32::new(500),
            memory: Some(Mib(128)),
            timeout: Some(Duration::from_secs(30)),
            max_concurrency: NonZeroU32::new(3).expect("not zero"),
            max_concurrency_behavior: Behavior::Wait,
            resource_pressure_behavior: Behavior::default(),
            max_wait: DEFAULT_MAX_WAIT,
            env: Env::from([("A".into(), "1".into()), ("B".into(), "2".into())]),
        }
    }

    #[test]
    fn a_configuration_survives_the_wire_with_its_digest() {
        let received = config_from_proto(config_to_proto(&config())).expect("valid");
        assert_eq!(received.config, config());
        assert_eq!(received.config_digest, config_digest(&config()).as_str());
    }

    #[test]
    fn the_digest_changes_with_every_field_that_an_agent_is_told() {
        let changes: [fn(&mut FunctionConfig); 15] = [
            |c| c.name = FunctionName::new("other").expect("name"),
            |c| c.handler = HandlerPath::new("other").expect("handler"),
            |c| c.cpu_millicores = None,
            |c| c.memory = Some(Mib(129)),
            |c| c.timeout = None,
            |c| c.max_concurrency = DEFAULT_MAX_CONCURRENCY,
            |c| c.max_concurrency_behavior = Behavior::Exit,
            |c| c.env = Env::from([("A".into(), "1B".into()), ("2".into(), String::new())]),
            |c| c.env.clear(),
            |c| c.disk = Some(Mib(20)),
            |c| c.pids = NonZeroU32::new(64),
            |c| c.isolation.user = None,
            |c| c.isolation.network = Some(NetworkIsolation::Host),
            |c| c.isolation.files = Some(FileIsolation::Strict),
            |c| c.isolation.syscalls = Some(SyscallIsolation::Open),
        ];
        let mut digests = vec![config_digest(&config())];
        for change in changes {
            let mut changed = config();
            change(&mut changed);
            let digest = config_digest(&changed);
            assert!(!digests.contains(&digest), "{changed:?}");
            digests.push(digest);
        }
    }

    #[test]
    fn what_a_legacy_control_plane_leaves_out_gets_defaults() {
        let received = config_from_proto(proto::FunctionConfig {
            name: "a".into(),
            handler: "./run".into(),
            ..Default::default()
        })
        .expect("valid");
        assert_eq!(received.config.max_concurrency, DEFAULT_MAX_CONCURRENCY);
        assert_eq!(received.config.timeout, None);
        assert_eq!(received.config.memory, None);
        assert_eq!((received.config.disk, received.config.pids), (None, None));
        assert_eq!(received.config.isolation, IsolationRequest::default());
        assert_eq!(received.config_digest, "");
    }

    #[test]
    fn fields_that_break_their_rule_are_refused_by_name() {
        type Change = fn(&mut proto::FunctionConfig);
        let changes: [(&str, Change); 9] = [
            ("disk_mb", |c| c.disk_mb = -1),
            ("pids", |c| c.pids = -1),
            ("isolation.network", |c| {
                c.isolation.get_or_insert_default().network = "some".into();
            }),
            ("memory_mb", |c| c.memory_mb = -1),
            ("timeout_seconds", |c| c.timeout_seconds = -1),
            ("max_concurrency_behavior", |c| {
                c.max_concurrency_behavior = "EXIT".into();
            }),
            ("handler", |c| c.handler = "../x".into()),
            ("function name", |c| c.name = "../x".into()),
            ("FLUX_A", |c| {
                c.env.insert("FLUX_A".into(), String::new());
            }),
        ];
        for (named, change) in changes {
            let mut message = config_to_proto(&config());
            change(&mut message);
            let error = config_from_proto(message).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_timeout_below_a_second_does_not_become_none() {
        let short = FunctionConfig {
            timeout: Some(Duration::from_millis(1)),
            ..config()
        };
        assert_eq!(config_to_proto(&short).timeout_seconds, 1);
    }

    #[test]
    fn listings_survive_the_wire_and_their_digest_knows_no_order() {
        let code = Code {
            version: 3,
            digest: Digest::from_sha256([7; 32]),
        };
        let held = |name: &str, code| HeldFunction {
            name: FunctionName::new(name).expect(name),
            config_digest: "abc".into(),
            code,
        };
        let (a, b) = (held("a", Some(code)), held("b", None));
        for function in [&a, &b] {
            let back = held_from_proto(held_to_proto(function)).expect("valid");
            assert_eq!(&back, function);
        }
        let forward = functions_digest(&[a.clone(), b.clone()]);
        assert_eq!(forward, functions_digest(&[b.clone(), a]));
        assert_ne!(forward, functions_digest(&[b]));
    }
}
