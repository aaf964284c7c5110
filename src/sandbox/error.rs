//! Why a sandbox cannot be opened or cleared. Failures of single executions are outcomes instead.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::enforced::Missing;

/// What failed.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The name would not be one part of a path.
    #[error("{name:?} cannot be the name of a cgroup: expected one part of a path")]
    Name {
        /// As given.
        name: String,
    },
    /// The work root is relative.
    #[error("{path} cannot be the work root: expected an absolute path")]
    WorkRoot {
        /// As given.
        path: PathBuf,
    },
    /// Isolation is required and not to be had.
    #[error(
        "executions cannot be isolated as require_isolation demands; missing here: {}",
        list(missing)
    )]
    NotIsolated {
        /// What is missing, and why.
        missing: Vec<Missing>,
    },
    /// A system call on something that every system has.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Processes of an earlier agent are still there after the deadline.
    #[error("{count} processes that an earlier agent left cannot be ended: {detail}")]
    Undead {
        /// How many groups of them, or processes.
        count: usize,
        /// Which and why.
        detail: String,
    },
    /// This system has no sandbox yet.
    #[error("nothing can be run on this system: {system} is not supported yet")]
    Unsupported {
        /// As people call it: "Windows".
        system: &'static str,
    },
}

fn list(missing: &[Missing]) -> String {
    let texts: Vec<String> = missing.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
