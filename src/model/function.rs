//! A function: what to run, with which limits, and the versions of its code.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use thiserror::Error;

use super::ids::{Digest, FunctionName};
use super::isolation::IsolationRequest;
use crate::base::clock::Timestamp;
use crate::base::units::Mib;

/// Executions of one function at once on one agent, when its YAML does not say.
pub(crate) const DEFAULT_MAX_CONCURRENCY: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// How long `wait` waits, when the YAML does not say.
pub const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(300);
/// Environment entries at the most.
pub(crate) const MAX_ENV_ENTRIES: usize = 256;
/// Bytes of all environment names and values together; far below the kernel's limit of 128 KiB
/// for one string (MAX_ARG_STRLEN) and of a quarter of the stack for all.
pub(crate) const MAX_ENV_BYTES: usize = 32 * 1024;
/// Prefix of the names that only Flux sets.
pub(crate) const RESERVED_ENV_PREFIX: &str = "FLUX_";

/// What to do when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behavior {
    /// Refuse the call.
    #[default]
    Exit,
    /// Queue it, first in, first out.
    Wait,
}

impl Behavior {
    /// `exit` or `wait`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Behavior::Exit => "exit",
            Behavior::Wait => "wait",
        }
    }
}

/// A relative path inside the archive: no empty, `.` or `..` part, no backslash, no NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerPath(String);

impl HandlerPath {
    /// A leading `./` is dropped.
    ///
    /// # Errors
    /// What is wrong with the path.
    pub fn new(text: &str) -> Result<HandlerPath, InvalidHandler> {
        let path = text.strip_prefix("./").unwrap_or(text);
        let reason = if path.is_empty() {
            "it is empty"
        } else if path.len() > 1024 {
            "it is longer than 1024 bytes"
        } else if path.starts_with('/') || path.as_bytes().get(1) == Some(&b':') {
            "it is absolute"
        } else if path.contains(['\\', '\0']) || path.chars().any(char::is_control) {
            "it contains a backslash or a control character"
        } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            "it has an empty, `.` or `..` part"
        } else {
            return Ok(HandlerPath(path.to_owned()));
        };
        Err(InvalidHandler {
            value: text.chars().take(100).collect(),
            reason,
        })
    }

    /// Slash-separated, relative.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no handler.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("handler {value:?}: expected a relative path inside the archive, but {reason}")]
pub struct InvalidHandler {
    value: String,
    reason: &'static str,
}

/// Environment names and values, checked: see [`check_env`].
pub type Env = BTreeMap<String, String>;

/// Checks an environment that a user gives.
///
/// # Errors
/// The first entry that is refused, and why: a name that is not `[A-Za-z_][A-Za-z0-9_]*`, a name
/// that Flux reserves, a NUL in a value, or too much of it.
pub(crate) fn check_env(env: &Env) -> Result<(), InvalidEnv> {
    let refuse = |name: &str, reason| {
        Err(InvalidEnv {
            name: name.chars().take(100).collect(),
            reason,
        })
    };
    if env.len() > MAX_ENV_ENTRIES {
        return refuse("", "there are more than 256 entries");
    }
    let mut bytes = 0;
    for (name, value) in env {
        bytes += name.len() + value.len() + 2;
        let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !well_formed {
            return refuse(
                name,
                "a name is letters, digits and _, and starts with no digit",
            );
        }
        if name.starts_with(RESERVED_ENV_PREFIX) {
            return refuse(name, "names that start with FLUX_ are set by Flux alone");
        }
        if value.contains('\0') {
            return refuse(name, "the value contains a NUL");
        }
    }
    if bytes > MAX_ENV_BYTES {
        return refuse("", "names and values together are over 32 KiB");
    }
    Ok(())
}

/// Why an environment is refused. The value is never part of it: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("env {name:?}: {reason}")]
pub struct InvalidEnv {
    name: String,
    reason: &'static str,
}

/// What the YAML of a function says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionConfig {
    /// Unique in the fleet.
    pub name: FunctionName,
    /// What to execute inside the archive.
    pub handler: HandlerPath,
    /// CPU limit; 1000 = one processor.
    pub cpu_millicores: Option<NonZeroU32>,
    /// Memory limit.
    pub memory: Option<Mib>,
    /// Limit to what an execution keeps in its working and temporary directory.
    pub disk: Option<Mib>,
    /// Limit to processes and threads of an execution.
    pub pids: Option<NonZeroU32>,
    /// From start to end of an execution.
    pub timeout: Option<Duration>,
    /// Per agent.
    pub max_concurrency: NonZeroU32,
    /// When every agent runs `max_concurrency` of it.
    pub max_concurrency_behavior: Behavior,
    /// When no agent has the memory or CPU.
    pub resource_pressure_behavior: Behavior,
    /// Longest time in the queue when a behaviour is `wait`.
    pub max_wait: Duration,
    /// Added to every execution's environment.
    pub env: Env,
    /// How far its executions are kept apart.
    pub isolation: IsolationRequest,
}

impl FunctionConfig {
    /// With what holds when the YAML names nothing but these.
    #[cfg(test)]
    pub(crate) fn new(name: FunctionName, handler: HandlerPath) -> FunctionConfig {
        FunctionConfig {
            name,
            handler,
            cpu_millicores: None,
            memory: None,
            disk: None,
            pids: None,
            timeout: None,
            max_concurrency: DEFAULT_MAX_CONCURRENCY,
            max_concurrency_behavior: Behavior::default(),
            resource_pressure_behavior: Behavior::default(),
            max_wait: DEFAULT_MAX_WAIT,
            env: Env::new(),
            isolation: IsolationRequest::default(),
        }
    }

    /// From start to end of an execution whose call asks for `of_call`: a call only tightens.
    pub(crate) fn timeout_of_call(&self, of_call: Option<Duration>) -> Option<Duration> {
        match (self.timeout, of_call) {
            (Some(own), Some(of_call)) => Some(own.min(of_call)),
            (one, other) => one.or(other),
        }
    }
}

/// A function as the fleet knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The configuration that new executions run with.
    pub config: FunctionConfig,
    /// The version in force; absent until the first deploy.
    pub active: Option<Version>,
    /// When it was first registered.
    pub created_at: Timestamp,
    /// Last change of configuration or active version.
    pub updated_at: Timestamp,
}

/// The code of a function: which of its versions, and of what archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code {
    /// The version's number; 0 when a legacy control plane does not count them.
    pub version: u64,
    /// The archive's digest.
    pub digest: Digest,
}

impl Version {
    pub(crate) fn code(&self) -> Code {
        Code {
            version: self.number,
            digest: self.digest.clone(),
        }
    }
}

/// One deployed archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Counts up from 1 for each function; never reused.
    pub number: u64,
    /// The archive's digest.
    pub digest: Digest,
    /// The archive's size.
    pub size_bytes: u64,
    /// When it was deployed.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_stays_inside_its_archive() {
        for text in [
            "", ".", "..", "/bin/sh", "../x", "a/../b", "a//b", "a/", "./", "c:\\x", "C:x", "a\\b",
            "a\0b", "a\nb", "././/x",
        ] {
            assert!(HandlerPath::new(text).is_err(), "{text:?}");
        }
        for (text, path) in [
            ("run", "run"),
            ("./run.sh", "run.sh"),
            ("bin/tool", "bin/tool"),
        ] {
            assert_eq!(HandlerPath::new(text).expect(text).as_str(), path);
        }
    }

    #[test]
    fn flux_names_bad_names_and_nul_are_refused_without_showing_the_value() {
        for (name, value) in [
            ("FLUX_X", "s3cret"),
            ("A=B", "s3cret"),
            ("", "s3cret"),
            ("1A", "s3cret"),
            ("A", "s3cret\0"),
        ] {
            let env = Env::from([(name.to_owned(), value.to_owned())]);
            let error = check_env(&env).expect_err(name).to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert!(check_env(&Env::from([("MY_FLUX_X".into(), "1".into())])).is_ok());
    }

    #[test]
    fn an_environment_is_bounded_in_count_and_bytes() {
        let many: Env = (0..=MAX_ENV_ENTRIES)
            .map(|i| (format!("A{i}"), String::new()))
            .collect();
        assert!(check_env(&many).is_err());
        let large = Env::from([("A".to_owned(), "x".repeat(MAX_ENV_BYTES))]);
        assert!(check_env(&large).is_err());
    }

    #[test]
    fn a_call_can_only_tighten_the_timeout() {
        let (short, long) = (Some(Duration::from_secs(1)), Some(Duration::from_secs(9)));
        for (own, of_call, expected) in [
            (long, short, short),
            (short, long, short),
            (None, short, short),
            (long, None, long),
            (None, None, None),
        ] {
            let config = FunctionConfig {
                timeout: own,
                ..FunctionConfig::new(
                    FunctionName::new("f").expect("name"),
                    HandlerPath::new("run").expect("handler"),
                )
            };
            assert_eq!(config.timeout_of_call(of_call), expected);
        }
    }
}
