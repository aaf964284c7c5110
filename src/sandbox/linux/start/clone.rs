//! Starts a child by the best clone that the system allows, and remembers which that is.
//!
//! clone3 places the child in its cgroup from its first moment (CLONE_INTO_CGROUP, Linux 5.7).
//! Where it is missing (ENOSYS, E2BIG, EINVAL) or refused by a filter (EPERM, ENOSYS), the plain
//! clone serves, and the child writes itself into its cgroup before it does anything else.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use super::child::{self, Plan};
use super::stack;
use crate::base::causes::with_causes;
use crate::sandbox::platform::arch;
use crate::sandbox::platform::follow::leader::Leader;
use crate::sandbox::platform::follow::orphans;

#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpawnWay {
    /// clone3, and clone from then on where clone3 turns out to be missing.
    #[default]
    Auto,
    /// clone3 alone.
    Clone3,
    /// clone alone.
    Clone,
}

/// How the children of one sandbox are cloned: by which call, once that is known.
#[derive(Debug)]
pub(in crate::sandbox) struct Cloner {
    way: AtomicU8,
}

const AUTO: u8 = 0;
const CLONE3: u8 = 1;
const CLONE: u8 = 2;

/// From linux/sched.h; libc's constants for these two do not fit their type.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of Linux 5.7 (CLONE_ARGS_SIZE_VER2).
#[repr(C, align(8))]
#[derive(Debug, Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The cgroup to be born in: its directory, and how to open its `cgroup.procs` if that is needed.
pub(in crate::sandbox) trait Birthplace {
    fn directory(&self) -> BorrowedFd<'_>;
    fn open_procs(&self) -> io::Result<OwnedFd>;
}

impl Cloner {
    pub(in crate::sandbox) fn new(way: SpawnWay) -> Cloner {
        let way = match way {
            SpawnWay::Auto => AUTO,
            SpawnWay::Clone3 => CLONE3,
            SpawnWay::Clone => CLONE,
        };
        Cloner {
            way: AtomicU8::new(way),
        }
    }

    /// Returns when the child has executed its program or has ended with [`Plan::failure`] set.
    ///
    /// # Errors
    /// No child was made.
    pub(in crate::sandbox) fn clone(
        &self,
        plan: &mut Plan,
        cgroup: Option<&dyn Birthplace>,
    ) -> io::Result<Leader> {
        let _starting = orphans::starting();
        let way = self.way.load(Ordering::Relaxed);
        if way != CLONE {
            match clone3(plan, cgroup) {
                Err(error) if way == AUTO && is_missing(&error) => {
                    log::info!(
                        "clone3 is not to be had here ({}); using clone instead",
                        with_causes(&error)
                    );
                }
                result => return result,
            }
        }
        let leader = plain_clone(plan, cgroup)?;
        // Remembered only now: when clone fails as well, the reason was another one.
        self.way.store(CLONE, Ordering::Relaxed);
        Ok(leader)
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOSYS | libc::EPERM | libc::EINVAL | libc::E2BIG)
    )
}

fn clone3(plan: &mut Plan, cgroup: Option<&dyn Birthplace>) -> io::Result<Leader> {
    let mut pidfd: i32 = -1;
    let mut flags =
        (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64 | CLONE_CLEAR_SIGHAND;
    flags |= network(plan) as u64;
    let mut directory = 0;
    if let Some(cgroup) = cgroup {
        flags |= CLONE_INTO_CGROUP;
        directory = cgroup.directory().as_raw_fd() as u64;
    }
    plan.cgroup_procs = -1;
    let result = stack::with(|stack| {
        let mut arguments = CloneArgs {
            flags,
            pidfd: (&raw mut pidfd).expose_provenance() as u64,
            exit_signal: libc::SIGCHLD as u64,
            stack: stack.bottom().expose_provenance() as u64,
            stack_size: stack.size() as u64,
            cgroup: directory,
            ..CloneArgs::default()
        };
        let _blocked = SignalsBlocked::all();
        // SAFETY: VM and VFORK are set, the stack is this thread's and aligned, `start` does not return,
        // and the plan outlives the call, within which the child leaves this memory.
        unsafe {
            arch::clone3(
                &raw mut arguments,
                size_of::<CloneArgs>(),
                child::start,
                ptr::from_mut(plan).cast(),
            )
        }
    })?;
    leader(result, pidfd)
}

fn plain_clone(plan: &mut Plan, cgroup: Option<&dyn Birthplace>) -> io::Result<Leader> {
    let mut pidfd: i32 = -1;
    let procs = cgroup.map(Birthplace::open_procs).transpose()?;
    plan.cgroup_procs = procs.as_ref().map_or(-1, |procs| procs.as_fd().as_raw_fd());
    let flags =
        libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | network(plan) | libc::SIGCHLD;
    let result = stack::with(|stack| {
        let _blocked = SignalsBlocked::all();
        // SAFETY: as in clone3.
        unsafe {
            arch::clone(
                flags as u64,
                stack.top(),
                &raw mut pidfd,
                child::start,
                ptr::from_mut(plan).cast(),
            )
        }
    })?;
    leader(result, pidfd)
}

fn network(plan: &Plan) -> i32 {
    if plan.own_network {
        libc::CLONE_NEWNET
    } else {
        0
    }
}

fn leader(result: isize, pidfd: i32) -> io::Result<Leader> {
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result as i32));
    }
    // SAFETY: CLONE_PIDFD has just opened it, close-on-exec, for us alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Leader::new(result as i32, pidfd))
}

/// All signals blocked in this thread while the child runs on its memory: a handler would run in the
/// child with the agent's state. The raw call, because libc's leaves its own two signals unblocked.
struct SignalsBlocked {
    before: u64,
}

impl SignalsBlocked {
    fn all() -> SignalsBlocked {
        SignalsBlocked {
            before: set_mask(u64::MAX),
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        set_mask(self.before);
    }
}

fn set_mask(mask: u64) -> u64 {
    let mut before = 0u64;
    let arguments = [
        libc::SIG_SETMASK as usize,
        (&raw const mask).expose_provenance(),
        (&raw mut before).expose_provenance(),
        size_of::<u64>(),
        0,
        0,
    ];
    // SAFETY: both masks are of the kernel's size and outlive the call, which fails only otherwise.
    unsafe { arch::syscall(libc::SYS_rt_sigprocmask, arguments) };
    before
}
