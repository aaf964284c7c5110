//! What does not work about cgroups here, for the list of what is missing and for outcomes.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Also the reason why cgroups are missing.
#[derive(Debug, Error)]
pub(in super::super) enum CgroupError {
    #[error("no cgroup version 2 is mounted")]
    NotMounted,
    #[error("the agent's own cgroup is outside of what is mounted at {mount}")]
    Outside { mount: PathBuf },
    #[error("cannot {action} {path}")]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("processes in cgroup {path} are alive {waited:?} after they were killed")]
    StillPopulated { path: PathBuf, waited: Duration },
}

impl CgroupError {
    /// For `map_err`: names the action and the path.
    pub(super) fn at(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> CgroupError {
        let path = path.into();
        move |source| CgroupError::File {
            action,
            path,
            source,
        }
    }
}
