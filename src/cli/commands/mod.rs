//! The commands of `flux` that are clients of a control plane, or work on files: a file each.
//!
//! Each has its options as `Arguments` and does its work in `run`. `pack/` makes the archive that
//! `deploy` sends.

pub mod agent;
pub mod agents;
pub mod cancel;
pub mod completions;
pub mod delete;
pub mod deploy;
pub mod exec;
pub mod execution;
pub mod executions;
pub mod functions;
pub mod init;
pub mod login;
pub mod logs;
mod pack;
pub mod pki;
pub mod rollback;
pub mod status;
pub mod versions;
