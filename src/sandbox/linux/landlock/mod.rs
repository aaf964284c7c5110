//! A Landlock domain of its own for every execution (landlock(7)): `rights` names what can be done
//! with files, `ruleset` speaks to the kernel, `domains` makes what an execution enters.

mod domains;
mod rights;
mod ruleset;
mod system_paths;

pub(super) use domains::{Domain, Domains, FilesError};
pub(super) use ruleset::why_missing;
pub use system_paths::default_system_paths;
