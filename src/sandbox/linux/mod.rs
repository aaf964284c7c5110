//! Linux: clone3 into a cgroup where there is one, one poll loop per execution, `/proc` where
//! there is none.
//!
//! `sandbox` opens and runs; `spawn`, `clone`, `stack` and `image` prepare what `child` does
//! between clone and exec; `watch` and `pipes` follow the run; `tree` ends it, by `cgroup` or by
//! `processes`; `disk` measures what the run holds on disk; `leader`, `usage` and `ending` say how it went.

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "arch/aarch64.rs")]
mod arch;
mod capabilities;
mod cgroup;
mod child;
mod clone;
mod control;
mod disk;
mod ending;
mod explain;
mod image;
mod landlock;
mod leader;
mod orphans;
mod pipes;
mod processes;
mod procfs;
mod sandbox;
mod spawn;
mod stack;
mod tree;
mod usage;
mod watch;

pub use capabilities::shed_bounding_set;
pub use clone::SpawnWay;
pub use control::Control;
pub use sandbox::Sandbox;
