//! The agent's part of the tree: which limits work in it, and the leaves that are there.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::error::CgroupError;
use super::files;
use super::kill::KillWay;
use super::leaf::Leaf;
use super::prepare;
use crate::model::ids::ExecutionId;
use crate::sandbox::{Enforced, Missing, ResourceLimits};

/// `flux-<name>`; removed when dropped, if nothing is left in it.
#[derive(Debug)]
pub(in super::super) struct Subtree {
    dir: OwnedFd,
    path: PathBuf,
    controllers: Controllers,
    kill_way: KillWay,
}

/// What leaves of this subtree can be limited and measured by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Controllers {
    pub(super) memory: bool,
    pub(super) swap: bool,
    pub(super) cpu: bool,
    pub(super) pids: bool,
    pub(super) io: bool,
    problem: Option<String>,
}

impl Subtree {
    /// # Errors
    /// There is no place where this process may make one.
    pub(in super::super) fn open(name: &str, kill_way: KillWay) -> Result<Subtree, CgroupError> {
        let mut subtree = prepare::subtree(name)?;
        subtree.kill_way = kill_way;
        Ok(subtree)
    }

    pub(super) fn new(dir: OwnedFd, path: PathBuf, controllers: Controllers) -> Subtree {
        Subtree {
            dir,
            path,
            controllers,
            kill_way: KillWay::default(),
        }
    }

    pub(in super::super) fn controllers(&self) -> &Controllers {
        &self.controllers
    }

    pub(in super::super) fn path(&self) -> &Path {
        &self.path
    }

    /// A new leaf with these limits in force.
    ///
    /// # Errors
    /// It cannot be made, or a limit that this subtree has cannot be set: then there is no leaf.
    pub(in super::super) fn create_leaf(
        &self,
        id: &ExecutionId,
        limits: &ResourceLimits,
    ) -> Result<Leaf<'_>, CgroupError> {
        Leaf::create(self, id.as_str(), limits)
    }

    /// The leaves that are there, by name.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(in super::super) fn leaves(&self) -> io::Result<Vec<Leaf<'_>>> {
        children(self.dir.as_fd())?
            .into_iter()
            .map(|name| Leaf::existing(self, name))
            .collect()
    }

    pub(super) fn kill_way(&self) -> KillWay {
        self.kill_way
    }

    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl Drop for Subtree {
    fn drop(&mut self) {
        // Refused while there are leaves; the next agent of this name clears them.
        let _ = std::fs::remove_dir(&self.path);
    }
}

impl Controllers {
    /// Looks at what leaves of `subtree` will have. Swap has no controller of its own, and its file is
    /// missing where the kernel counts no swap.
    pub(super) fn found(subtree: BorrowedFd<'_>, problem: Option<String>) -> Controllers {
        let enabled = files::read(subtree, "cgroup.subtree_control").unwrap_or_default();
        let has = |controller: &str| enabled.split_whitespace().any(|it| it == controller);
        let memory = has("memory");
        Controllers {
            memory,
            swap: memory && files::open_for_reading(subtree, "memory.swap.max").is_ok(),
            cpu: has("cpu"),
            pids: has("pids"),
            io: has("io"),
            problem,
        }
    }

    pub(super) fn limit_anything(&self) -> bool {
        self.memory || self.cpu || self.pids
    }

    /// What of the limits works, and what does not and why.
    pub(in super::super) fn report(&self, at: &Path) -> (Vec<Enforced>, Vec<Missing>) {
        let mut enforced = Vec::new();
        let mut missing = Vec::new();
        for (what, works, controller) in [
            (Enforced::Memory, self.memory, "memory"),
            (Enforced::Swap, self.swap, "memory.swap"),
            (Enforced::Cpu, self.cpu, "cpu"),
            (Enforced::Pids, self.pids, "pids"),
        ] {
            if works {
                enforced.push(what);
            } else {
                let reason = self.problem.clone().unwrap_or_else(|| {
                    format!("cgroup {} has no {controller} controller", at.display())
                });
                missing.push(Missing { what, reason });
            }
        }
        (enforced, missing)
    }
}

/// The cgroups in a cgroup, by name.
pub(super) fn children(dir: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    // Its own open file: a listing has a position.
    let listing = Dir::openat(dir, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        let is_directory = entry.file_type() == Some(nix::dir::Type::Directory);
        if is_directory && name != "." && name != ".." {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

/// The same, open; those that are gone by then left out.
pub(super) fn open_children(dir: BorrowedFd<'_>) -> Vec<OwnedFd> {
    children(dir)
        .unwrap_or_default()
        .iter()
        .filter_map(|name| files::open_directory(dir, name).ok())
        .collect()
}

/// The processes in a cgroup, without those below it.
pub(super) fn processes(dir: BorrowedFd<'_>) -> Vec<i32> {
    let listed = files::read(dir, "cgroup.procs").unwrap_or_default();
    // 0 stands for whoever is not in this process's namespace of numbers, and means the agent itself
    // to kill(2).
    let visible = listed.lines().filter_map(|pid| pid.parse().ok());
    visible.filter(|&pid| pid > 0).collect()
}
