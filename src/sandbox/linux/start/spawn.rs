//! From a specification to a running leader: everything is prepared, then one clone.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use thiserror::Error;

use super::child::{Failure, Plan, RLIMITS, Stage};
use super::clone::{Birthplace, Cloner, SpawnWay};
use super::image::{Image, ImageError};
use crate::model::isolation::{NetworkIsolation, SyscallIsolation};
use crate::sandbox::platform::follow::leader::Leader;
use crate::sandbox::platform::follow::pipes::{self, ChildEnds, Pipes};
use crate::sandbox::platform::landlock::{Domain, Domains, FilesError};
use crate::sandbox::platform::seccomp::Filter;
use crate::sandbox::{ResourceLimits, Spec, Stdin};

/// What all executions of one sandbox have in common.
#[derive(Debug)]
pub(in crate::sandbox) struct Spawner {
    cloner: Cloner,
    means: Means,
}

/// What this machine offers to contain an execution with.
#[derive(Debug)]
pub(in crate::sandbox) struct Means {
    /// Capabilities to take out of the bounding set, one bit each.
    pub bounding_drop: u64,
    /// Whether the agent is to be ended later than others when the machine runs out of memory.
    pub reset_oom_score: bool,
    pub domains: Option<Domains>,
    pub syscalls: Option<Filter>,
}

/// Why nothing runs.
#[derive(Debug, Error)]
pub(in crate::sandbox) enum SpawnError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("cannot prepare its input and output")]
    Descriptors(#[source] io::Error),
    #[error("cannot make a process")]
    Clone(#[source] io::Error),
    #[error("cannot start the program")]
    Child(Failure),
}

impl SpawnError {
    /// Whether another try in a moment can succeed: somebody has the program open for writing. A
    /// process that another thread is just making holds all of this one's descriptors until its
    /// exec, so a program can look busy right after it was written.
    pub(in crate::sandbox) fn is_passing(&self) -> bool {
        matches!(self, SpawnError::Child(failure)
            if failure.stage == Stage::Exec && failure.errno == libc::ETXTBSY)
    }
}

impl Spawner {
    pub(in crate::sandbox) fn new(way: SpawnWay, means: Means) -> Spawner {
        Spawner {
            cloner: Cloner::new(way),
            means,
        }
    }

    /// See [`Sandbox::contain_thread`](crate::sandbox::platform::Sandbox::contain_thread).
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(in crate::sandbox) fn contain_thread(&self) -> io::Result<()> {
        match &self.means.syscalls {
            Some(filter) => filter.contain_thread(),
            None => Ok(()),
        }
    }

    pub(in crate::sandbox) fn spawn(
        &self,
        spec: &Spec,
        cgroup: Option<&dyn Birthplace>,
    ) -> Result<(Leader, Pipes), SpawnError> {
        let image = Image::new(spec)?;
        let stdin = stdin(&spec.stdin).map_err(SpawnError::Descriptors)?;
        let (pipes, ends) = Pipes::new().map_err(SpawnError::Descriptors)?;
        let domains = self.means.domains.as_ref();
        let domain = domains
            .map(|domains| domains.domain(&spec.files))
            .transpose()?;
        let mut plan = self.plan(spec, &image, domain.as_ref(), &stdin, &ends);
        let leader = self
            .cloner
            .clone(&mut plan, cgroup)
            .map_err(SpawnError::Clone)?;
        match plan.failure {
            None => Ok((leader, pipes)),
            Some(failure) => {
                // It has ended: CLONE_VFORK returns only after that or an exec. A failure here
                // leaves a zombie and says nothing that the child's own failure does not.
                let _ = leader.reap_when_ended();
                Err(SpawnError::Child(failure))
            }
        }
    }

    /// What it points into is the caller's to keep until the child has executed.
    fn plan(
        &self,
        spec: &Spec,
        image: &Image,
        domain: Option<&Domain<'_>>,
        stdin: &OwnedFd,
        ends: &ChildEnds,
    ) -> Plan {
        Plan {
            cgroup_procs: -1,
            own_network: spec.network == NetworkIsolation::None,
            reset_oom_score: self.means.reset_oom_score,
            rlimits: rlimits(&spec.limits),
            bounding_drop: self.means.bounding_drop,
            uid_gid: spec.identity.map(|identity| (identity.uid, identity.gid)),
            landlock: domain.map_or(-1, Domain::raw),
            syscalls: self.filter(spec.syscalls).map(Filter::for_child),
            stdio: [
                stdin.as_raw_fd(),
                ends.stdout.as_raw_fd(),
                ends.stderr.as_raw_fd(),
            ],
            parent: std::process::id() as i32,
            cwd: image.cwd(),
            program: image.program(),
            argv: image.argv(),
            envp: image.envp(),
            failure: None,
        }
    }
}

impl Spawner {
    fn filter(&self, wanted: SyscallIsolation) -> Option<&Filter> {
        match wanted {
            SyscallIsolation::Filtered => self.means.syscalls.as_ref(),
            SyscallIsolation::Open => None,
        }
    }
}

/// A copy of the caller's file. The empty one is opened anew: flags and locks belong to what is
/// opened, and would pass from one execution to all that have the same.
fn stdin(stdin: &Stdin) -> io::Result<OwnedFd> {
    match stdin {
        Stdin::Null => pipes::above_stdio(File::open("/dev/null")?.into()),
        Stdin::File(file) => pipes::duplicate_above_stdio(file.as_fd()),
    }
}

/// One byte is too small for a dump. Zero would be too, but where dumps go to a program (systemd-coredump,
/// apport) the kernel asks for this very value alone: fs/coredump.c, `cprm.limit == 1`.
const NO_CORE_DUMP: u64 = 1;

/// A limit above the agent's own could be set by root alone; the agent's own holds then.
fn rlimits(limits: &ResourceLimits) -> [Option<(u32, u64)>; RLIMITS] {
    let within = |resource: u32, limit: Option<u64>| {
        limit.map(|limit| (resource, limit.min(own_hard_limit(resource))))
    };
    [
        within(libc::RLIMIT_CORE, Some(NO_CORE_DUMP)),
        within(libc::RLIMIT_NOFILE, limits.nofile),
        within(libc::RLIMIT_FSIZE, limits.file_bytes()),
    ]
}

fn own_hard_limit(resource: u32) -> u64 {
    let mut own = libc::rlimit {
        rlim_cur: 0,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `own` outlives the call, which leaves it alone when it fails.
    unsafe { libc::getrlimit(resource, &raw mut own) };
    own.rlim_max
}
