//! Runs one process contained: one contract, same-shaped platforms behind it.
//!
//! Owns: every process that Flux starts, from before its first instruction to after the last
//! member of its tree is dead. Refuses: knowing what a function is, recording, choosing limits.
//!
//! Invariants:
//! - Nothing runs outside its containment, not even for a moment: limits, identity and
//!   membership are in force before the program's first instruction.
//! - What cannot be enforced here is listed by [`Sandbox::missing`], never silently skipped.
//! - When [`Sandbox::run`] returns, the whole tree is dead, or the outcome says that this could
//!   not be confirmed.
//!
//! A platform provides `Sandbox`, `Control`, `Projects` and `Project` with exactly the methods that `windows/`
//! writes down; everything else is shared.

mod config;
mod error;
mod outcome;
mod spec;

#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(windows, path = "windows/mod.rs")]
mod platform;

pub use crate::model::enforced::Enforced;
pub(crate) use crate::model::enforced::Missing;
pub use config::{CgroupMode, Identities, Identity, SandboxConfig};
pub use error::SandboxError;
pub use outcome::{Outcome, OutputSink, StopReason};
pub use platform::{Control, Project, Projects, Sandbox, default_system_paths, shed_bounding_set};
pub use spec::{FileAccess, ResourceLimits, Spec, Stdin};

#[cfg(target_os = "linux")]
#[doc(hidden)]
pub use platform::{KillWay, Reached, SpawnWay, Ways, kill_cgroup};
