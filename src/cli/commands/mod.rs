//! The commands of `flux` that ask a control plane or work on files, a file each.
//!
//! Each has its options as `Arguments`, which clap reads and of whose doc comments it makes the help,
//! and does its work in `run`: that shows the answer and returns the exit code, or an error for
//! whoever called it to show. `pack/` makes the archive that `deploy` sends.

pub(super) mod agent;
pub(super) mod agents;
pub(super) mod cancel;
pub(super) mod completions;
pub(super) mod delete;
pub(super) mod deploy;
pub(super) mod exec;
pub(super) mod execution;
pub(super) mod executions;
pub(super) mod functions;
pub(super) mod init;
pub(super) mod login;
pub(super) mod logs;
mod pack;
pub(super) mod pki;
pub(super) mod rollback;
pub(super) mod status;
pub(super) mod versions;
