//! Readers of single values: a node in, a checked value or what was expected out.
//!
//! The messages follow a key's path and a colon. They show the value that was found, cut to a
//! length; values that may be secret go through `secret` instead.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::{Node, Value};
use crate::base::units::{Mib, format_duration, parse_duration};

/// Characters of a refused value that an error shows.
const SHOWN_CHARACTERS: usize = 100;

/// A text. In YAML numbers and truth values are texts too, as they are written; in JSON they are not.
///
/// # Errors
/// What was found instead.
pub(crate) fn text(node: &Node) -> Result<String, String> {
    match &node.value {
        Value::Scalar(text) | Value::Text(text) => Ok(text.clone()),
        Value::Null
        | Value::Number(_)
        | Value::Truth(_)
        | Value::Sequence(_)
        | Value::Mapping(_) => Err(format!("expected a text, found {}", node.kind())),
    }
}

/// Keys with texts, such as an environment.
///
/// # Errors
/// The first that is none, by its key; never its value, which may be a secret.
pub(crate) fn texts(node: &Node) -> Result<BTreeMap<String, String>, String> {
    let Value::Mapping(entries) = &node.value else {
        return Err(format!("expected keys with texts, found {}", node.kind()));
    };
    entries
        .iter()
        .map(|entry| {
            let value = text(&entry.value).map_err(|reason| format!("{}: {reason}", entry.key))?;
            Ok((entry.key.clone(), value))
        })
        .collect()
}

/// A text that is not empty.
pub(crate) fn non_empty(node: &Node) -> Result<String, String> {
    let text = text(node)?;
    if text.trim().is_empty() {
        return Err("expected a text, found an empty one".to_owned());
    }
    Ok(text)
}

/// `true` or `false`, and what YAML 1.1 took for them: files written for such parsers stay valid.
pub(crate) fn boolean(node: &Node) -> Result<bool, String> {
    let text = match &node.value {
        Value::Truth(value) => return Ok(*value),
        Value::Scalar(text) => text,
        Value::Null
        | Value::Text(_)
        | Value::Number(_)
        | Value::Sequence(_)
        | Value::Mapping(_) => {
            return Err(format!("expected true or false, found {}", node.kind()));
        }
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(found("true or false", text)),
    }
}

/// A word of a list; `expected` names them all.
pub(crate) fn word<T>(
    parse: fn(&str) -> Option<T>,
    expected: &'static str,
) -> impl FnOnce(&Node) -> Result<T, String> {
    move |node| {
        let text = text(node)?;
        parse(&text).ok_or_else(|| found(expected, &text))
    }
}

/// A list, each item read by `read`; the message for a bad one says which it is.
pub(crate) fn list<T>(
    read: impl Fn(&Node) -> Result<T, String>,
) -> impl FnOnce(&Node) -> Result<Vec<T>, String> {
    move |node| {
        let Value::Sequence(items) = &node.value else {
            return Err("expected a list such as [a, b]".to_owned());
        };
        let numbered = items.iter().zip(1..);
        numbered
            .map(|(item, number)| read(item).map_err(|reason| format!("item {number}: {reason}")))
            .collect()
    }
}

/// A whole number in `range`, as number or as text.
pub(crate) fn integer<T>(range: RangeInclusive<T>) -> impl FnOnce(&Node) -> Result<T, String>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    move |node| {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let text = match &node.value {
            Value::Scalar(text) | Value::Number(text) => text,
            Value::Null
            | Value::Text(_)
            | Value::Truth(_)
            | Value::Sequence(_)
            | Value::Mapping(_) => {
                return Err(format!("expected {expected}, found {}", node.kind()));
            }
        };
        text.trim()
            .parse::<i128>()
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| found(&expected, text))
    }
}

/// A whole number of mebibytes.
pub(crate) fn mebibytes(range: RangeInclusive<u64>) -> impl FnOnce(&Node) -> Result<Mib, String> {
    move |node| integer(range)(node).map(Mib)
}

/// `250ms`, `30s`, `5m`, `2h` or seconds.
pub(crate) fn duration(
    range: RangeInclusive<Duration>,
) -> impl FnOnce(&Node) -> Result<Duration, String> {
    move |node| {
        let text = text(node)?;
        let duration = parse_duration(&text)?;
        if !range.contains(&duration) {
            let expected = format!(
                "a duration from {} to {}",
                format_duration(*range.start()),
                format_duration(*range.end())
            );
            return Err(found(&expected, &text));
        }
        Ok(duration)
    }
}

/// A numeric address; names are refused, because functions are given it as it stands.
pub(crate) fn ip(node: &Node) -> Result<IpAddr, String> {
    let text = text(node)?;
    text.trim()
        .parse()
        .map_err(|_| found("an IP address such as 10.0.0.5", &text))
}

/// `address:port`; `:port` means every IPv4 address, `localhost` the loopback one.
pub(crate) fn socket_address(node: &Node) -> Result<SocketAddr, String> {
    let text = text(node)?;
    let parsed = match text.split_once(':') {
        Some(("", port)) => with_port(Ipv4Addr::UNSPECIFIED, port),
        Some(("localhost", port)) => with_port(Ipv4Addr::LOCALHOST, port),
        _ => text.parse().ok(),
    };
    parsed.ok_or_else(|| {
        found(
            "an address and a port such as 0.0.0.0:7227 or [::]:7227",
            &text,
        )
    })
}

/// A path; a relative one starts at `base`, the directory of the configuration file.
pub(crate) fn path(base: &Path) -> impl FnOnce(&Node) -> Result<PathBuf, String> {
    move |node| Ok(base.join(non_empty(node)?))
}

/// A filter for the log: levels, and `module=level`, separated by commas.
pub(crate) fn log_filter(node: &Node) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = text(node)?;
    let is_valid = text.split(',').all(|part| {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        LEVELS.contains(&level.trim().to_ascii_lowercase().as_str())
    });
    if is_valid {
        return Ok(text);
    }
    Err(found(
        "off, error, warn, info, debug or trace, or module=level, separated by commas",
        &text,
    ))
}

/// `expected …, found "…"`.
pub(crate) fn found(expected: &str, value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN_CHARACTERS).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    format!("expected {expected}, found {shown:?}")
}

fn with_port(ip: Ipv4Addr, port: &str) -> Option<SocketAddr> {
    port.parse().ok().map(|port| SocketAddr::from((ip, port)))
}
