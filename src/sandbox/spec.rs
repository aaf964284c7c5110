//! What to run, and within which limits.

use std::ffi::OsString;
use std::fs::File;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::config::Identity;
use super::platform::Project;
use crate::base::units::Mib;
use crate::model::ids::ExecutionId;
use crate::model::isolation::{NetworkIsolation, SyscallIsolation};

/// One process to run.
#[derive(Debug)]
pub struct Spec {
    /// Names the cgroup. Used for one run only.
    pub execution_id: ExecutionId,
    /// Absolute; never looked up in a PATH. Becomes `argv[0]` too.
    pub program: PathBuf,
    /// After `argv[0]`.
    pub args: Vec<OsString>,
    /// The whole environment; nothing is added and nothing of the agent's own comes through. Its
    /// `TMPDIR` must be `<work_root>/<execution_id>` or below: see [`super::SandboxConfig`].
    pub env: Vec<(OsString, OsString)>,
    /// Absolute.
    pub cwd: PathBuf,
    /// What holds [`ResourceLimits::disk`] there: the project that [`Spec::cwd`], and all in it, belongs to.
    /// Without one it is measured.
    pub project: Option<Arc<Project>>,
    /// Descriptor 0.
    pub stdin: Stdin,
    /// Whom it runs as; the agent's own user when there is none.
    pub identity: Option<Identity>,
    /// Which files it reaches.
    pub files: FileAccess,
    /// Which network it sees. [`NetworkIsolation::None`] where that cannot be had is a failure to
    /// start, never less.
    pub network: NetworkIsolation,
    /// Which system calls it has.
    pub syscalls: SyscallIsolation,
    /// How much it may take.
    pub limits: ResourceLimits,
    /// From SIGTERM to SIGKILL after a timeout.
    pub kill_grace: Duration,
    /// How long, after the leader's end, others of its tree may hold stdout or stderr open.
    pub pipe_grace: Duration,
}

/// Which files an execution reaches, within what its user may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileAccess {
    /// Whatever its user may.
    Open,
    /// The sandbox's system paths and these, each with all that is below it; nothing else.
    Only {
        /// What it may read and execute.
        read: Vec<PathBuf>,
        /// Where it may read, write, make and remove.
        write: Vec<PathBuf>,
    },
}

/// Where standard input comes from.
#[derive(Debug)]
pub enum Stdin {
    /// Empty.
    Null,
    /// From the file's current position.
    File(File),
}

/// `None` is no limit of this execution's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimits {
    /// How much memory the whole tree may have.
    pub memory: Option<Mib>,
    /// How much processor time the whole tree may have; 1000 is one processor.
    pub cpu_millicores: Option<NonZeroU32>,
    /// Processes and threads of the whole tree.
    pub pids: Option<NonZeroU32>,
    /// Open descriptors of each process.
    pub nofile: Option<u64>,
    /// Bytes of each written file.
    pub fsize: Option<u64>,
    /// How much what is below [`Spec::cwd`] may take together, with what the tree holds on the same file
    /// system after removing it. With it comes a limit to the number of files.
    pub disk: Option<Mib>,
    /// How long it may run.
    pub timeout: Option<Duration>,
}

impl Spec {
    /// Default of [`Spec::kill_grace`]: enough to close files and connections, short enough that a
    /// timeout stays one.
    pub const KILL_GRACE: Duration = Duration::from_secs(2);
    /// Default of [`Spec::pipe_grace`]: time for the last children to print their last line after a
    /// leader that did not wait for them.
    pub const PIPE_GRACE: Duration = Duration::from_millis(250);
}

impl ResourceLimits {
    /// No limits beyond those that every execution has (no core dumps).
    pub const NONE: ResourceLimits = ResourceLimits {
        memory: None,
        cpu_millicores: None,
        pids: None,
        nofile: None,
        fsize: None,
        disk: None,
        timeout: None,
    };

    /// Bytes of each written file: none can be larger than all of them may be.
    pub(crate) fn file_bytes(&self) -> Option<u64> {
        let disk = self.disk.map(Mib::bytes);
        self.fsize.into_iter().chain(disk).min()
    }
}
