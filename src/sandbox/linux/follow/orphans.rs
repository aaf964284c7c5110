//! Whose child is whose, in a process that orphans are handed to.
//!
//! An agent that is a child subreaper (or process 1 of a container) becomes the parent of processes
//! whose own parent has died, and must reap them, or their entries stay in the process table for
//! as long as the agent lives. Reaping goes by known number, never by "any child": the leaders of
//! running executions are children too, and their threads wait for them.
//!
//! Any agent can be made a parent: a leader's clone with CLONE_PARENT is the agent's child, and a
//! cgroup that kills it leaves its entry to the agent.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::procfs::{self, Process};
use crate::base::causes::with_causes;
use crate::base::threads::lock;

// Of the process, as its children are: several sandboxes in one process share them.
static LEADERS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
// Held from a look at an ended child to its reaping: its number stays its own until then.
static REAPING: Mutex<()> = Mutex::new(());
// Children that exist and may not be in LEADERS yet.
static STARTING: AtomicUsize = AtomicUsize::new(0);

/// Held across a clone: until the new leader is registered, nobody can tell it from an orphan.
#[derive(Debug)]
pub(in crate::sandbox) struct Starting;

/// A leader that has not been reaped.
#[derive(Debug)]
pub(in crate::sandbox) struct Registration {
    pid: i32,
}

/// Announces a clone.
pub(in crate::sandbox) fn starting() -> Starting {
    STARTING.fetch_add(1, Ordering::SeqCst);
    Starting
}

/// Records a leader; to be called before its [`Starting`] is dropped.
pub(in crate::sandbox) fn register(pid: i32) -> Registration {
    lock(&LEADERS).insert(pid);
    Registration { pid }
}

/// The leaders now; `None` while there may be one that is not recorded yet.
pub(in crate::sandbox) fn leaders() -> Option<BTreeSet<i32>> {
    // In this order: a leader that was started before the look at STARTING is recorded by the look
    // at LEADERS.
    if STARTING.load(Ordering::SeqCst) != 0 {
        return None;
    }
    Some(lock(&LEADERS).clone())
}

/// Whether this process is the parent of orphans.
pub(in crate::sandbox) fn are_adopted_here() -> bool {
    std::process::id() == 1 || nix::sys::prctl::get_child_subreaper().unwrap_or(false)
}

/// Reaps adopted processes that have ended.
pub(in crate::sandbox) fn reap() {
    match procfs::processes() {
        Ok(processes) => reap_among(&processes),
        Err(error) => log::warn!(
            "cannot read /proc, ended orphans are left for later: {}",
            with_causes(&error)
        ),
    }
}

/// Reaps those of a listing. What cannot be told from a leader now is left for the next time.
pub(in crate::sandbox) fn reap_among(processes: &[Process]) {
    // After the listing: every leader in it is recorded by now, or this is not the time.
    let Some(leaders) = leaders() else {
        return;
    };
    for process in processes.iter().filter(|it| it.is_dead && is_adopted(it)) {
        if !leaders.contains(&process.pid) {
            reap_one(process.pid);
        }
    }
}

/// Reaps ended children that leaders have made this process's with CLONE_PARENT. Stops at the first
/// ended child that somebody else waits for: whoever does comes by here after it.
pub(in crate::sandbox) fn reap_made_by_leaders() {
    let _reaping = lock(&REAPING);
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    // __WALL: a clone need not announce its end by SIGCHLD.
    while let Ok(status) = waitid(Id::All, peek | WaitPidFlag::__WALL) {
        let Some(pid) = status.pid().map(Pid::as_raw) else {
            return;
        };
        let is_known_foreign = leaders().is_some_and(|leaders| !leaders.contains(&pid))
            && procfs::process(pid).is_some_and(|process| is_adopted(&process));
        if !is_known_foreign {
            return;
        }
        reap_one(pid);
    }
}

/// Whether `pid` is the leader of a run, as far as recorded.
pub(in crate::sandbox) fn is_leader(pid: i32) -> bool {
    lock(&LEADERS).contains(&pid)
}

/// A child of this process in another session than its own: no child that the agent started itself,
/// unless it is a leader.
pub(in crate::sandbox) fn is_adopted(process: &Process) -> bool {
    // SAFETY: no memory is involved.
    let session = unsafe { libc::getsid(0) };
    process.parent == std::process::id() as i32 && process.session != session
}

/// Reaps the child `pid`, if it has ended and is one.
fn reap_one(pid: i32) {
    // ECHILD: it was not ours, or is gone already.
    let _ = waitid(
        Id::Pid(Pid::from_raw(pid)),
        WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::__WALL,
    );
}

impl Drop for Starting {
    fn drop(&mut self) {
        STARTING.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&LEADERS).remove(&self.pid);
    }
}
