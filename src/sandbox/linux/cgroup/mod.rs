//! Cgroups of version 2: where the agent's part of the tree is, what can be limited there, and one
//! leaf per execution.
//!
//! Refuses: changing mounts, version 1, and moving processes that are not the agent's own.
//! Layout: `<own cgroup, or the root>/flux-<name>/<execution id>`, and `flux.agent` beside
//! `flux-<name>` for the agent itself where it must not stay in its own cgroup.

mod error;
mod files;
mod find;
mod kill;
mod leaf;
mod prepare;
mod subtree;

pub(super) use error::CgroupError;
pub use kill::{KillWay, Reached, kill};
pub(super) use leaf::Leaf;
pub(super) use subtree::Subtree;
