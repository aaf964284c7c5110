//! Linux: clone3 into a cgroup where there is one, one poll loop per execution, `/proc` where
//! there is none.
//!
//! ```text
//! sandbox     opens and runs
//! means/      what this machine can enforce
//! start/      from a specification to a process that runs contained
//! follow/     from there to the certain end of its tree
//! cgroup/, disk/, landlock/, seccomp/    what holds it, each for itself
//! arch/       the processor: registers, numbers of system calls
//! ```

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
mod arch;
mod cgroup;
mod disk;
mod follow;
mod landlock;
mod means;
mod sandbox;
mod seccomp;
mod start;

pub use cgroup::{KillWay, Reached, kill as kill_cgroup};
pub use disk::{Project, Projects};
pub use follow::Control;
pub use landlock::default_system_paths;
pub use means::shed_bounding_set;
pub use sandbox::{Sandbox, Ways};
pub use start::clone::SpawnWay;
