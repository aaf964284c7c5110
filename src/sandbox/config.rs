//! What the agent decides once about all of its executions.

use std::path::PathBuf;

/// How a sandbox is opened.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The agent's id; names its part of the cgroup tree. One part of a path: no `/`, not empty.
    pub name: String,
    /// Absolute. Each execution's private directory is `work_root/<execution id>`, and its `TMPDIR`
    /// lies in it: by that, leftovers and members of a tree are recognised where there is no cgroup.
    pub work_root: PathBuf,
    /// Whom executions run as; needs root. `None` runs all of them as the agent's own user.
    pub identities: Option<Identities>,
    /// What every execution with [`super::FileAccess::Only`] may read and execute beside its own
    /// paths: the system's directories and files. Those that do not exist are passed over.
    pub system_paths: Vec<PathBuf>,
    /// Refuse to open where anything of [`super::Enforced::ISOLATION`] is missing.
    pub require_isolation: bool,
    /// Whether to use cgroups.
    pub cgroup: CgroupMode,
}

/// The users that executions run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identities {
    /// For executions that name none of their own, and for all where those cannot be had.
    pub shared: Identity,
    /// First and last of the user ids from which each function gets one of its own.
    pub own: Option<(u32, u32)>,
}

/// A user and a group, without supplementary groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Whether to use cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CgroupMode {
    /// Where the machine has cgroup v2 and the agent may.
    #[default]
    Auto,
    /// Never; trees are then ended by what `/proc` tells about them.
    Off,
}
