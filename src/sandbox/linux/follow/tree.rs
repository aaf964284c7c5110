//! All processes of one execution, held together by a cgroup or by what `/proc` tells.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::leader::Leader;
use super::orphans;
use super::processes::{self, ProcessesError};
use crate::model::execution::Usage;
use crate::sandbox::platform::cgroup::{CgroupError, Leaf};
use crate::sandbox::platform::start::clone::Birthplace;

/// How long killed processes may take to die. They die at their next return from the kernel; one that
/// is stuck in it (a dead network file system, a broken disk) can take for ever.
pub(in crate::sandbox) const DEATH_DEADLINE: Duration = Duration::from_secs(5);

/// The processes of one execution.
#[derive(Debug)]
pub(in crate::sandbox) enum Tree<'a> {
    Cgroup(Leaf<'a>),
    /// The directory that its `TMPDIR` is below.
    Processes(PathBuf),
}

/// Why a tree is not known to be dead.
#[derive(Debug, Error)]
pub(in crate::sandbox) enum TreeError {
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Processes(#[from] ProcessesError),
}

impl Tree<'_> {
    pub(in crate::sandbox) fn birthplace(&self) -> Option<&dyn Birthplace> {
        match self {
            Tree::Cgroup(leaf) => Some(leaf),
            Tree::Processes(_) => None,
        }
    }

    /// Kills whoever is alive in it, and returns when nobody is. The leader must not be reaped yet: its
    /// number stands for the tree.
    ///
    /// # Errors
    /// Somebody is alive after [`DEATH_DEADLINE`], or it cannot be said.
    pub(in crate::sandbox) fn end(&self, leader: &Leader) -> Result<(), TreeError> {
        let deadline = Instant::now() + DEATH_DEADLINE;
        match self {
            Tree::Cgroup(leaf) => leaf.end(deadline)?,
            Tree::Processes(directory) => processes::end_tree(leader, directory, deadline)?,
        }
        Ok(())
    }

    /// Whoever is alive in it, as far as it can be said. A zombie may be among them.
    pub(in crate::sandbox) fn processes(&self, leader: &Leader) -> Vec<i32> {
        match self {
            Tree::Cgroup(leaf) => leaf.processes(),
            Tree::Processes(directory) => processes::of_tree(leader, directory),
        }
    }

    /// Whether the kernel ended it at its memory limit.
    pub(in crate::sandbox) fn ran_out_of_memory(&self) -> bool {
        match self {
            Tree::Cgroup(leaf) => leaf.ran_out_of_memory(),
            // Nothing counts it, and nothing has limited it.
            Tree::Processes(_) => false,
        }
    }

    pub(in crate::sandbox) fn add_usage(&self, usage: &mut Usage) {
        match self {
            Tree::Cgroup(leaf) => leaf.add_usage(usage),
            Tree::Processes(_) => {}
        }
    }

    /// What is left of it in the system goes, once the leader is reaped.
    pub(in crate::sandbox) fn clean_up(&self) {
        match self {
            Tree::Cgroup(leaf) => {
                leaf.remove_or_log();
                if orphans::are_adopted_here() {
                    orphans::reap();
                } else {
                    orphans::reap_made_by_leaders();
                }
            }
            // Its last look at all processes has reaped them.
            Tree::Processes(_) => {}
        }
    }
}
