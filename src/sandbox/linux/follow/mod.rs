//! From a running process to the certain end of its tree, and how it went.
//!
//! `watch` is the one poll loop of an execution, over its `pipes`, its clock and its `control`;
//! `tree` ends what runs, by its cgroup or by its `processes`, which `orphans` and `procfs` find;
//! `leader`, `usage` and `ending` say how it went.

mod control;
pub(in crate::sandbox) mod ending;
pub(in crate::sandbox) mod leader;
pub(in crate::sandbox) mod orphans;
pub(in crate::sandbox) mod pipes;
pub(in crate::sandbox) mod processes;
pub(in crate::sandbox) mod procfs;
pub(in crate::sandbox) mod tree;
pub(in crate::sandbox) mod usage;
pub(in crate::sandbox) mod watch;

pub use control::Control;
