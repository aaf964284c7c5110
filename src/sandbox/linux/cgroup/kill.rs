//! SIGKILL to everything in a cgroup and below it.
//!
//! By `cgroup.kill`, which reaches even what is just being forked (Linux 5.14). Before, one process
//! after the other, in a cgroup that is frozen first: a tree that forks faster than its list can be
//! read would never come to its end. Frozen processes neither fork nor end by themselves, so that a
//! number from the list stays that process's, and they die of SIGKILL as they are (cgroups,
//! "cgroup.freeze"). Nobody is thawed: what is left could only run away.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::files;
use super::subtree;
use crate::base::causes::with_causes;

#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KillWay {
    /// `cgroup.kill`, or one after the other where it is missing.
    #[default]
    Auto,
    /// One after the other alone.
    OneByOne,
}

/// Whom a kill has reached.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Everybody: they need only be waited for.
    All,
    /// Whoever was listed. Who was being forked then is frozen, and has to be killed yet.
    Listed,
}

/// Kills whoever is in it.
///
/// # Errors
/// `cgroup.kill` is there and cannot be written.
#[doc(hidden)]
pub fn kill(cgroup: BorrowedFd<'_>, way: KillWay) -> io::Result<Reached> {
    match way {
        KillWay::Auto => match files::write(cgroup, "cgroup.kill", "1") {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            result => return result.map(|()| Reached::All),
        },
        KillWay::OneByOne => {}
    }
    // Holds for those below as well. Where it is refused, kills that outpace the forks are all there is.
    if let Err(error) = files::write(cgroup, "cgroup.freeze", "1") {
        log::debug!(
            "a cgroup is killed without being frozen: {}",
            with_causes(&error)
        );
    }
    kill_each(cgroup);
    Ok(Reached::Listed)
}

fn kill_each(cgroup: BorrowedFd<'_>) {
    for pid in subtree::processes(cgroup) {
        // SAFETY: no memory is involved. Read a moment ago from a cgroup that holds this execution alone.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    for child in subtree::open_children(cgroup) {
        kill_each(child.as_fd());
    }
}
