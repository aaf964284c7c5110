//! Makes the agent's part of the tree, with every controller that is to be had.
//!
//! A cgroup that gives controllers to its children may hold no processes itself ("no internal
//! processes", cgroups(7)), except the root. So where the agent sits in the base, alone, it steps
//! into a leaf beside its executions; where it has company there, nobody is moved.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{AccessFlags, faccessat};

use super::error::CgroupError;
use super::files;
use super::find::{self, Hierarchy};
use super::subtree::{Controllers, Subtree};
use crate::base::causes::with_causes;

/// What executions are limited and measured by.
const WANTED: [&str; 4] = ["memory", "cpu", "pids", "io"];
/// Leaf for the agent itself, the same for all agents in one base; no subtree is called like it.
const AGENT_LEAF: &str = "flux.agent";

/// The best subtree that can be had: one with controllers, if any place gives one.
pub(super) fn subtree(name: &str) -> Result<Subtree, CgroupError> {
    let name = format!("flux-{name}");
    let mut without_controllers = None;
    let mut first_error = None;
    for base in bases(&find::hierarchy()?) {
        match subtree_in(&base, &name) {
            Ok(subtree) if subtree.controllers().limit_anything() => return Ok(subtree),
            Ok(subtree) => {
                without_controllers.get_or_insert(subtree);
            }
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    without_controllers.ok_or(first_error.unwrap_or(CgroupError::NotMounted))
}

/// Our own cgroup, or what it was before an earlier opening moved us into a leaf of it; then the root,
/// for an agent that root started by hand in a session full of other processes.
fn bases(hierarchy: &Hierarchy) -> Vec<PathBuf> {
    let is_leaf = hierarchy.own.file_name() == Some(AGENT_LEAF.as_ref());
    let own = match hierarchy.own.parent() {
        Some(parent) if is_leaf => parent,
        _ => &hierarchy.own,
    };
    let mut bases = vec![own.to_owned()];
    if own != hierarchy.mount {
        bases.push(hierarchy.mount.clone());
    }
    bases
}

fn subtree_in(base: &Path, name: &str) -> Result<Subtree, CgroupError> {
    let base_dir = open(base)?;
    // Placing a process takes the right to write to the common ancestor as well (cgroups(7)).
    faccessat(
        &base_dir,
        "cgroup.procs",
        AccessFlags::W_OK,
        AtFlags::AT_EACCESS,
    )
    .map_err(|errno| CgroupError::at("place processes in", base)(errno.into()))?;
    let problem = hand_down(base_dir.as_fd(), base);
    let path = base.join(name);
    match mkdirat(&base_dir, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(CgroupError::at("make", &path)(errno.into())),
    }
    let dir = open(&path)?;
    let problem_below = enable(dir.as_fd(), &path);
    let controllers = Controllers::found(dir.as_fd(), problem.or(problem_below));
    Ok(Subtree::new(dir, path, controllers))
}

/// Gives the base's controllers to its children; returns what stood in the way, if anything.
fn hand_down(base_dir: BorrowedFd<'_>, base: &Path) -> Option<String> {
    if unenabled(base_dir).is_empty() {
        return None;
    }
    // The root alone has no type, and may hold processes.
    let is_root = files::open_for_reading(base_dir, "cgroup.type").is_err();
    if !is_root && let Err(problem) = step_aside(base_dir, base) {
        return Some(problem);
    }
    enable(base_dir, base)
}

/// Moves this process, and no other, out of the base.
fn step_aside(base_dir: BorrowedFd<'_>, base: &Path) -> Result<(), String> {
    let procs = files::read(base_dir, "cgroup.procs").unwrap_or_default();
    let own = std::process::id().to_string();
    if procs.lines().any(|pid| pid != own) {
        return Err(format!(
            "other processes share cgroup {} with the agent; run it as a service with Delegate=yes",
            base.display()
        ));
    }
    if procs.is_empty() {
        return Ok(());
    }
    let moved = match mkdirat(base_dir, AGENT_LEAF, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => files::open_directory(base_dir, AGENT_LEAF)
            .and_then(|leaf| files::write(leaf.as_fd(), "cgroup.procs", &own)),
        Err(errno) => Err(errno.into()),
    };
    moved.map_err(|error| {
        format!(
            "the agent cannot move into {}/{AGENT_LEAF}: {}",
            base.display(),
            with_causes(&error)
        )
    })
}

/// One controller at a time: one that is refused should not cost the others.
fn enable(dir: BorrowedFd<'_>, path: &Path) -> Option<String> {
    let mut problem = None;
    for controller in unenabled(dir) {
        let change = format!("+{controller}");
        if let Err(error) = files::write(dir, "cgroup.subtree_control", &change) {
            let at = path.display();
            problem.get_or_insert(format!(
                "{at} does not give {controller} to its children: {}",
                with_causes(&error)
            ));
        }
    }
    problem
}

fn unenabled(dir: BorrowedFd<'_>) -> Vec<&'static str> {
    let available = files::read(dir, "cgroup.controllers").unwrap_or_default();
    let enabled = files::read(dir, "cgroup.subtree_control").unwrap_or_default();
    WANTED
        .into_iter()
        .filter(|wanted| available.split_whitespace().any(|it| it == *wanted))
        .filter(|wanted| !enabled.split_whitespace().any(|it| it == *wanted))
        .collect()
}

fn open(path: &Path) -> Result<OwnedFd, CgroupError> {
    let file = fs::File::open(path).map_err(CgroupError::at("open", path))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_stepped_aside_finds_its_base_again() {
        let hierarchy = |own: &str| Hierarchy {
            mount: "/sys/fs/cgroup".into(),
            own: own.into(),
        };
        let service = "/sys/fs/cgroup/system.slice/flux-agent.service";
        for own in [service, &format!("{service}/flux.agent")] {
            assert_eq!(
                bases(&hierarchy(own)),
                [Path::new(service), Path::new("/sys/fs/cgroup")]
            );
        }
        assert_eq!(
            bases(&hierarchy("/sys/fs/cgroup")),
            [Path::new("/sys/fs/cgroup")]
        );
    }
}
