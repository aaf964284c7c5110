//! The threads that carry executions out, one each at a time.
//!
//! Most executions do without the same system calls, and a thread that does without them too starts them
//! cheaper: see [`Sandbox::contain_thread`]. It can start no others, so these have threads of their own.

use crate::base::causes::with_causes;
use crate::base::pool::{Full, Pool, PoolLimits};
use crate::base::threads::Supervisor;
use crate::model::isolation::SyscallIsolation;
use crate::sandbox::Sandbox;

pub(crate) struct Runs {
    contained: Pool,
    open: Pool,
}

impl Runs {
    /// No threads yet; `limits` are those of either kind.
    pub(crate) fn new(limits: PoolLimits, supervisor: &Supervisor) -> Runs {
        Runs {
            contained: Pool::new("run", limits, supervisor),
            open: Pool::new("run-open", limits, supervisor),
        }
    }

    /// Has `job` start what gets these system calls.
    ///
    /// # Errors
    /// The job comes back: see [`Pool::submit`].
    pub(crate) fn submit<J: FnOnce() + Send + 'static>(
        &self,
        syscalls: SyscallIsolation,
        job: J,
    ) -> Result<(), Full<J>> {
        match syscalls {
            SyscallIsolation::Filtered => self.contained.submit(job),
            SyscallIsolation::Open => self.open.submit(job),
        }
    }
}

/// To be called by a job on its thread, before it starts what gets these system calls. Where the thread
/// cannot be prepared, each start costs more, and nothing else changes.
pub(crate) fn prepare_thread(sandbox: &Sandbox, syscalls: SyscallIsolation) {
    if syscalls == SyscallIsolation::Filtered
        && let Err(error) = sandbox.contain_thread()
    {
        log::debug!(
            "a thread cannot give up system calls, so that each start has to: {}",
            with_causes(&error)
        );
    }
}
