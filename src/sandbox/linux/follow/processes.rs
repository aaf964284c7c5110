//! Ends a tree without a cgroup, by what `/proc` tells about its members.
//!
//! A member is whoever is in the leader's session, descends from the leader, or is an orphan
//! that was handed to the agent (a child subreaper) and has the execution's `TMPDIR` in its
//! environment; also an orphan that can be nobody else's, because nothing else runs. What is left
//! uncaught: beside other executions, a process that leaves its session, outlives its parent and
//! executes a program with another `TMPDIR`. A cgroup has no such gap.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use thiserror::Error;

use super::leader::Leader;
use super::orphans;
use super::procfs::{self, Process};

/// Why it cannot be said that all are dead.
#[derive(Debug, Error)]
pub(in crate::sandbox) enum ProcessesError {
    #[error("cannot read /proc")]
    Listing(#[source] io::Error),
    #[error("processes {pids:?} are alive after they were killed")]
    StillAlive { pids: Vec<i32> },
}

/// Kills the tree of `leader`, whose `TMPDIR` is at `directory` or below, and waits until a look at
/// all processes finds no member alive.
///
/// # Errors
/// Some are alive at the deadline, or it cannot be said.
pub(in crate::sandbox) fn end_tree(
    leader: &Leader,
    directory: &Path,
    deadline: Instant,
) -> Result<(), ProcessesError> {
    leader.signal_group(libc::SIGKILL);
    end_all(deadline, |listing| {
        members(listing, leader.pid(), directory)
    })
    .map(|_| ())
}

/// Those of the tree of `leader`; empty when `/proc` cannot be read.
pub(in crate::sandbox) fn of_tree(leader: &Leader, directory: &Path) -> Vec<i32> {
    Listing::new()
        .map(|listing| members(&listing, leader.pid(), directory))
        .unwrap_or_default()
        .iter()
        .map(|process| process.pid)
        .collect()
}

/// Kills every process whose `TMPDIR` is below `work_root` and that belongs to no running execution.
/// Returns how many there were.
///
/// # Errors
/// Some are alive at the deadline, or it cannot be said.
pub(in crate::sandbox) fn end_leftovers(
    work_root: &Path,
    deadline: Instant,
) -> Result<usize, ProcessesError> {
    end_all(deadline, |listing| leftovers(listing, work_root))
}

fn end_all(
    deadline: Instant,
    select: impl Fn(&Listing) -> Vec<Process>,
) -> Result<usize, ProcessesError> {
    let mut killed = BTreeSet::new();
    loop {
        let listing = Listing::new().map_err(ProcessesError::Listing)?;
        let alive = select(&listing);
        if alive.is_empty() {
            orphans::reap_among(&listing.processes);
            return Ok(killed.len());
        }
        if Instant::now() >= deadline {
            let pids = alive.iter().map(|process| process.pid).collect();
            return Err(ProcessesError::StillAlive { pids });
        }
        killed.extend(alive.iter().map(|process| (process.pid, process.started)));
        let dying: Vec<OwnedFd> = alive.iter().filter_map(kill).collect();
        for pidfd in dying {
            wait_for_end(&pidfd, deadline);
        }
    }
}

/// All processes at one time, and who descends from whom.
struct Listing {
    processes: Vec<Process>,
    parents: BTreeMap<i32, i32>,
}

impl Listing {
    fn new() -> io::Result<Listing> {
        let processes = procfs::processes()?;
        let parents = processes.iter().map(|it| (it.pid, it.parent)).collect();
        Ok(Listing { processes, parents })
    }

    fn alive(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(|process| !process.is_dead)
    }

    /// `pid`, its parent, and so on. Bounded: a listing is not made in one moment, so numbers that were
    /// given anew could make a circle of it.
    fn line_of(&self, pid: i32) -> impl Iterator<Item = i32> {
        std::iter::successors(Some(pid), |pid| self.parents.get(pid).copied())
            .take(self.processes.len())
    }
}

fn members(listing: &Listing, leader: i32, directory: &Path) -> Vec<Process> {
    // After the listing: see orphans::leaders.
    let alone = orphans::leaders().is_some_and(|leaders| leaders == BTreeSet::from([leader]));
    let is_member = |process: &&Process| {
        process.session == leader
            || listing.line_of(process.pid).any(|pid| pid == leader)
            || (is_orphan(listing, process.pid)
                && (alone || has_tmpdir(process.pid, |path| path.starts_with(directory))))
    };
    listing.alive().filter(is_member).copied().collect()
}

/// Descends from the agent, but from none of its leaders.
fn is_orphan(listing: &Listing, pid: i32) -> bool {
    let own = std::process::id() as i32;
    let mut below_us = listing
        .line_of(pid)
        .take_while(|&pid| pid != own)
        .peekable();
    if below_us.peek().is_none() || !listing.line_of(pid).any(|pid| pid == own) {
        return false;
    }
    let line: Vec<i32> = below_us.collect();
    let is_adopted = line
        .last()
        .and_then(|root| listing.processes.iter().find(|it| it.pid == *root))
        .is_some_and(orphans::is_adopted);
    is_adopted && !line.iter().any(|&pid| orphans::is_leader(pid))
}

fn leftovers(listing: &Listing, work_root: &Path) -> Vec<Process> {
    // An agent that itself runs below a work root must not end its own ancestors.
    let ours: BTreeSet<i32> = listing.line_of(std::process::id() as i32).collect();
    let is_leftover = |process: &&Process| {
        !ours.contains(&process.pid)
            && !listing.line_of(process.pid).any(orphans::is_leader)
            && has_tmpdir(process.pid, |path| {
                path.starts_with(work_root) && path != work_root
            })
    };
    listing.alive().filter(is_leftover).copied().collect()
}

fn has_tmpdir(pid: i32, is_meant: impl Fn(&PathBuf) -> bool) -> bool {
    procfs::tmpdir(pid).as_ref().is_some_and(is_meant)
}

/// Returns what to wait on; `None` when it is gone already.
fn kill(process: &Process) -> Option<OwnedFd> {
    let pidfd = open_pidfd(process.pid)?;
    // The number may have passed to another process before the descriptor was opened.
    if procfs::process(process.pid)?.started != process.started {
        return None;
    }
    // SAFETY: no memory is involved; no siginfo is given.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            0,
            0,
        )
    };
    Some(pidfd)
}

fn open_pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: the call has just opened it, close-on-exec, for us alone.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn wait_for_end(pidfd: &OwnedFd, deadline: Instant) {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    let left = deadline.saturating_duration_since(Instant::now());
    // Interrupted or not: the caller lists all processes again.
    let _ = poll(
        &mut fds,
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
    );
}
