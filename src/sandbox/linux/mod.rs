//! Linux: clone3 into a cgroup where there is one, one poll loop per execution, `/proc` where
//! there is none.
//!
//! `sandbox` opens and runs; `inspect` finds out what this machine can enforce, and `demands` holds a
//! specification against it; `spawn`, `clone`, `stack` and `image` prepare what `child` does
//! between clone and exec, `landlock` and `seccomp` what it enters there; `watch` and `pipes` follow
//! the run, and `disk` limits what it holds on disk; `tree` ends it, by `cgroup` or by `processes`;
//! `leader`, `usage` and `ending` say how it went.

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
mod arch;
mod capabilities;
mod cgroup;
mod child;
mod clone;
mod control;
mod demands;
mod disk;
mod ending;
mod explain;
mod findings;
mod identities;
mod image;
mod inspect;
mod landlock;
mod leader;
mod orphans;
mod pipes;
mod processes;
mod procfs;
mod sandbox;
mod seccomp;
mod spawn;
mod stack;
mod tree;
mod usage;
mod watch;

pub use capabilities::shed_bounding_set;
pub use cgroup::KillWay;
pub use clone::SpawnWay;
pub use control::Control;
pub use disk::{Project, Projects};
pub use landlock::default_system_paths;
pub use sandbox::{Sandbox, Ways};
