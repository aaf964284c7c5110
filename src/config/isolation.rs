//! How far functions are kept apart: what a function's YAML may ask for, and what agent.yaml grants.
//!
//! Refuses: user ids that the system has a use of its own for, and paths to read that would give
//! functions the agent's own files. What an answer means is `model::isolation`'s.

use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};

use super::document::Node;
use super::read;
use super::section::Section;
use crate::model::isolation::{
    FileIsolation, Isolation, IsolationRequest, Loosening, NetworkIsolation, SyscallIsolation,
    UserIsolation,
};

/// Among those that systemd's documentation of user ids lists as unused: above the ranges of
/// containers (524288 to 1879048191), below those that some programs take for negative numbers.
/// 65536 of them: more than an agent holds functions. <https://systemd.io/UIDS-GIDS/>
pub(crate) const DEFAULT_RUNNER_UIDS: RangeInclusive<u32> = 1_879_048_192..=1_879_113_727;

/// Below are root and the system's own users (login.defs(5), `SYS_UID_MAX`).
const FIRST_FREE_UID: u32 = 1000;
/// Ids above are negative to programs that keep them in 32 bits with a sign.
const LAST_FREE_UID: u32 = i32::MAX as u32;
/// `nobody`, and the id that means "none" to calls with 16 bits.
const RESERVED_UIDS: RangeInclusive<u32> = 65_534..=65_535;
/// With fewer, an agent of ordinary size runs out of them.
const FEWEST_RUNNER_UIDS: u32 = 100;
/// Further paths at the most: each costs a system call at every start.
const MAX_READ_PATHS: usize = 64;

/// `isolation` in agent.yaml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentIsolation {
    /// For what a function does not name.
    pub defaults: Isolation,
    /// What functions may have beyond the defaults, when they ask for it by name.
    pub allow: Vec<Loosening>,
    /// From which each function gets a user of its own.
    pub runner_uids: RangeInclusive<u32>,
    /// Absolute; what functions may read and execute beside the system's and their own.
    pub read_paths: Vec<PathBuf>,
}

impl Default for AgentIsolation {
    fn default() -> AgentIsolation {
        AgentIsolation {
            defaults: Isolation::DEFAULT,
            allow: Vec::new(),
            runner_uids: DEFAULT_RUNNER_UIDS,
            read_paths: Vec::new(),
        }
    }
}

/// `isolation` in a function's YAML.
pub(super) fn request(mut section: Section<'_>) -> IsolationRequest {
    let request = IsolationRequest {
        user: section.optional("user", user),
        network: section.optional("network", network),
        files: section.optional("files", files),
        syscalls: section.optional("syscalls", syscalls),
    };
    section.finish();
    request
}

/// `own`: directories of the agent itself, which no function may be given to read.
pub(super) fn agent_isolation(mut section: Section<'_>, own: &[&Path]) -> AgentIsolation {
    let default = AgentIsolation::default();
    let isolation = AgentIsolation {
        defaults: defaults(section.section("defaults"), default.defaults),
        allow: section.or("allow", default.allow, read::list(loosening)),
        runner_uids: section.or("runner_uids", default.runner_uids, uids),
        read_paths: section.or("read_paths", default.read_paths, read_paths(own)),
    };
    section.finish();
    isolation
}

fn defaults(mut section: Section<'_>, default: Isolation) -> Isolation {
    let defaults = Isolation {
        user: section.or("user", default.user, user),
        network: section.or("network", default.network, network),
        files: section.or("files", default.files, files),
        syscalls: section.or("syscalls", default.syscalls, syscalls),
    };
    section.finish();
    defaults
}

fn user(node: &Node) -> Result<UserIsolation, String> {
    read::word(UserIsolation::parse, "own or shared")(node)
}

fn network(node: &Node) -> Result<NetworkIsolation, String> {
    read::word(NetworkIsolation::parse, "none or host")(node)
}

fn files(node: &Node) -> Result<FileIsolation, String> {
    read::word(FileIsolation::parse, "strict or open")(node)
}

fn syscalls(node: &Node) -> Result<SyscallIsolation, String> {
    read::word(SyscallIsolation::parse, "filtered or open")(node)
}

fn loosening(node: &Node) -> Result<Loosening, String> {
    read::word(
        Loosening::parse,
        "shared_user, host_network, open_files or open_syscalls",
    )(node)
}

/// `FIRST-LAST`.
fn uids(node: &Node) -> Result<RangeInclusive<u32>, String> {
    let text = read::text(node)?;
    let parsed = text
        .split_once('-')
        .and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)));
    let Some((first, last)) = parsed else {
        return Err(read::found(
            "two user ids such as 1879048192-1879113727",
            &text,
        ));
    };
    check_uids(first, last)?;
    Ok(first..=last)
}

fn check_uids(first: u32, last: u32) -> Result<(), String> {
    if first > last {
        return Err(format!(
            "{first} comes after {last}: expected the first and then the last user id"
        ));
    }
    if first < FIRST_FREE_UID {
        return Err(format!(
            "user ids below {FIRST_FREE_UID} are root's and the system's own"
        ));
    }
    if last > LAST_FREE_UID {
        return Err(format!("user ids end at {LAST_FREE_UID}"));
    }
    if first <= *RESERVED_UIDS.end() && last >= *RESERVED_UIDS.start() {
        return Err("65534 is nobody's and 65535 no user id: expected a range without them".into());
    }
    if last - first + 1 < FEWEST_RUNNER_UIDS {
        return Err(format!(
            "expected at least {FEWEST_RUNNER_UIDS} user ids: each function takes one"
        ));
    }
    Ok(())
}

fn read_paths(own: &[&Path]) -> impl FnOnce(&Node) -> Result<Vec<PathBuf>, String> {
    move |node| {
        let paths = read::list(|item| read_path(item, own))(node)?;
        if paths.len() > MAX_READ_PATHS {
            return Err(format!("expected at most {MAX_READ_PATHS} paths"));
        }
        Ok(paths)
    }
}

/// Absolute, so that it means the same whatever the agent's directory; and neither above nor below
/// what the agent keeps from functions.
fn read_path(node: &Node, own: &[&Path]) -> Result<PathBuf, String> {
    let text = read::non_empty(node)?;
    let path = PathBuf::from(&text);
    let goes_up = path.components().any(|part| part == Component::ParentDir);
    if !path.is_absolute() || goes_up {
        return Err(read::found("an absolute path without ..", &text));
    }
    if path.parent().is_none() {
        return Err("/ is everything: use files: open instead".to_owned());
    }
    match own
        .iter()
        .find(|own| own.starts_with(&path) || path.starts_with(own))
    {
        Some(own) => Err(format!("{text:?} meets the agent's own {}", own.display())),
        None => Ok(path),
    }
}
