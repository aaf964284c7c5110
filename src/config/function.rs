//! A function's YAML, as users PUT it.
//!
//! Refuses what the model refuses, and bounds every number with a reason. The bounds are below what
//! the agents' protocol carries, so that a function that was accepted can always be sent.

use std::num::NonZeroU32;
use std::time::Duration;

use thiserror::Error;

use super::document::{Node, Value};
use super::error::{FieldError, Malformed};
use super::isolation::request;
use super::read;
use super::section::Section;
use super::yaml;
use crate::base::units::parse_duration;
use crate::model::function::{
    Behavior, DEFAULT_MAX_CONCURRENCY, DEFAULT_MAX_WAIT, Env, FunctionConfig, HandlerPath,
    check_env,
};
use crate::model::ids::FunctionName;

/// Bytes of a function's YAML at the most: twice the largest environment.
pub(crate) const MAX_FUNCTION_YAML_BYTES: usize = 64 * 1024;
/// 1024 processors; larger machines are not known.
pub(super) const MAX_CPU_MILLICORES: u32 = 1_024_000;
/// 16 TiB, in MiB; larger machines are not known.
pub(super) const MAX_MEMORY_MIB: u64 = 16 << 20;
/// 1 PiB, in MiB; larger file systems for scratch are not known.
pub(super) const MAX_DISK_MIB: u64 = 1 << 30;
/// Linux' PID_MAX_LIMIT.
pub(super) const MAX_PIDS: u32 = 4 << 20;
/// 366 days; the protocol counts the seconds in 31 bits.
const MAX_TIMEOUT_SECONDS: u64 = 366 * 24 * 3600;
/// Processes on one machine (Linux' PID_MAX_LIMIT is 4 Mi) are the limit long before.
const MAX_CONCURRENCY: u32 = 100_000;
/// A caller that waits longer has a proxy or a client between that does not.
const LONGEST_MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Why a function's YAML is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FunctionYamlError {
    /// No YAML, or YAML that is no mapping: a bad request.
    #[error(transparent)]
    Malformed(Malformed),
    /// Well-formed, with keys or values that cannot be: each of them.
    #[error("{}", join(.0))]
    Invalid(Vec<FieldError>),
}

/// Reads a function's YAML.
///
/// # Errors
/// `Malformed` with line and column, or `Invalid` with every bad field.
pub fn parse_function_yaml(bytes: &[u8]) -> Result<FunctionConfig, FunctionYamlError> {
    if bytes.len() > MAX_FUNCTION_YAML_BYTES {
        return Err(malformed("larger than 64 KiB"));
    }
    let root = yaml::parse(bytes).map_err(FunctionYamlError::Malformed)?;
    if !matches!(root.value, Value::Mapping(_)) {
        return Err(malformed("expected keys with values, such as name: hello"));
    }
    root.read(read_function).map_err(FunctionYamlError::Invalid)
}

pub(super) fn read_function(mut root: Section<'_>) -> Option<FunctionConfig> {
    let name = root.required("name", name);
    let handler = root.required("handler", handler);
    let mut resources = root.section("resources");
    let cpu_millicores = resources.optional("cpu", read::integer(1..=MAX_CPU_MILLICORES));
    let memory = resources.optional("memory", read::mebibytes(1..=MAX_MEMORY_MIB));
    let disk = resources.optional("disk", read::mebibytes(1..=MAX_DISK_MIB));
    let pids = resources.optional("pids", read::integer(1..=MAX_PIDS));
    resources.finish();
    let timeout = root.or("timeout", None, timeout);
    let max_concurrency = root.or(
        "max_concurrency",
        DEFAULT_MAX_CONCURRENCY.get(),
        read::integer(1..=MAX_CONCURRENCY),
    );
    let max_concurrency_behavior =
        root.or("max_concurrency_behavior", Behavior::default(), behavior);
    let resource_pressure_behavior =
        root.or("resource_pressure_behavior", Behavior::default(), behavior);
    let max_wait = root.or(
        "max_wait",
        DEFAULT_MAX_WAIT,
        read::duration(Duration::ZERO..=LONGEST_MAX_WAIT),
    );
    let env = root.or("env", Env::new(), env);
    let isolation = request(root.section("isolation"));
    root.finish();
    Some(FunctionConfig {
        name: name?,
        handler: handler?,
        cpu_millicores: cpu_millicores.and_then(NonZeroU32::new),
        memory,
        disk,
        pids: pids.and_then(NonZeroU32::new),
        timeout,
        max_concurrency: NonZeroU32::new(max_concurrency)?,
        max_concurrency_behavior,
        resource_pressure_behavior,
        max_wait,
        env,
        isolation,
    })
}

fn name(node: &Node) -> Result<FunctionName, String> {
    FunctionName::new(&read::text(node)?).map_err(|error| error.to_string())
}

fn handler(node: &Node) -> Result<HandlerPath, String> {
    HandlerPath::new(&read::text(node)?).map_err(|error| error.to_string())
}

/// Whole seconds, because the agents' protocol counts them; 0 = none, by the contract.
fn timeout(node: &Node) -> Result<Option<Duration>, String> {
    let text = read::text(node)?;
    let timeout = parse_duration(&text)?;
    if timeout.subsec_millis() != 0 || timeout.as_secs() > MAX_TIMEOUT_SECONDS {
        return Err(read::found(
            "whole seconds, at most 366 days, or 0 for no timeout",
            &text,
        ));
    }
    Ok((!timeout.is_zero()).then_some(timeout))
}

fn behavior(node: &Node) -> Result<Behavior, String> {
    let text = read::text(node)?;
    [Behavior::Exit, Behavior::Wait]
        .into_iter()
        .find(|behavior| behavior.as_str() == text)
        .ok_or_else(|| read::found("exit or wait", &text))
}

/// Texts, numbers and truth values, as they are written; values stay out of messages.
fn env(node: &Node) -> Result<Env, String> {
    let Value::Mapping(entries) = &node.value else {
        return Err("expected names with values".to_owned());
    };
    let mut env = Env::new();
    for entry in entries {
        let value = match &entry.value.value {
            Value::Scalar(text) | Value::Text(text) => text.clone(),
            Value::Null => String::new(),
            Value::Number(_) | Value::Truth(_) | Value::Sequence(_) | Value::Mapping(_) => {
                return Err(format!(
                    "{}: expected one text, number, true or false",
                    entry.key
                ));
            }
        };
        env.insert(entry.key.clone(), value);
    }
    check_env(&env).map_err(|error| error.to_string())?;
    Ok(env)
}

fn malformed(message: &str) -> FunctionYamlError {
    FunctionYamlError::Malformed(Malformed {
        message: message.to_owned(),
        line: 1,
        column: 1,
    })
}

fn join(errors: &[FieldError]) -> String {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}
