//! The cgroup of one execution: limited before there is a process in it, killed as a whole, gone
//! after it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::error::CgroupError;
use super::files;
use super::kill::{self, KillWay, Reached};
use super::subtree::{self, Subtree};
use crate::base::causes::with_causes;
use crate::model::execution::Usage;
use crate::sandbox::ResourceLimits;
use crate::sandbox::platform::start::clone::Birthplace;

/// Length of the period over which processor time is shared out; the kernel's own default.
const CPU_PERIOD_US: u64 = 100_000;
/// The smallest quota that the kernel takes.
const CPU_QUOTA_MIN_US: u64 = 1_000;
/// Between two looks where the kernel should have told of the change: a net, not the way.
const RECHECK: Duration = Duration::from_millis(100);

/// The cgroup of one execution, in the subtree.
#[derive(Debug)]
pub(in super::super) struct Leaf<'a> {
    subtree: &'a Subtree,
    name: String,
    dir: OwnedFd,
}

impl<'a> Leaf<'a> {
    pub(super) fn create(
        subtree: &'a Subtree,
        name: &str,
        limits: &ResourceLimits,
    ) -> Result<Leaf<'a>, CgroupError> {
        mkdirat(subtree.dir(), name, Mode::from_bits_truncate(0o755))
            .map_err(|errno| CgroupError::at("make", subtree.path().join(name))(errno.into()))?;
        let leaf = Leaf::existing(subtree, name.to_owned())
            .map_err(CgroupError::at("open", subtree.path().join(name)))?;
        match leaf.limit(limits) {
            Ok(()) => Ok(leaf),
            Err(error) => {
                leaf.remove_or_log();
                Err(error)
            }
        }
    }

    pub(super) fn existing(subtree: &'a Subtree, name: String) -> io::Result<Leaf<'a>> {
        let dir = files::open_directory(subtree.dir(), &name)?;
        Ok(Leaf { subtree, name, dir })
    }

    /// Whether the kernel has ended this execution, or a part of it, at its memory limit.
    pub(in super::super) fn ran_out_of_memory(&self) -> bool {
        self.subtree.controllers().memory
            && files::read(self.dir.as_fd(), "memory.events")
                .ok()
                .and_then(|events| files::keyed(&events, "oom_kill"))
                .is_some_and(|count| count > 0)
    }

    /// Raises `usage` to what the cgroup has counted, which includes what nobody waited for.
    pub(in super::super) fn add_usage(&self, usage: &mut Usage) {
        let read = |name| files::read(self.dir.as_fd(), name).unwrap_or_default();
        if let Some(micros) = files::keyed(&read("cpu.stat"), "usage_usec") {
            usage.cpu = usage.cpu.max(Duration::from_micros(micros));
        }
        if self.subtree.controllers().memory
            // Linux 5.19; before, the leader's own peak stands.
            && let Ok(peak) = read("memory.peak").trim().parse::<u64>()
        {
            usage.max_rss_bytes = peak;
        }
        if self.subtree.controllers().io {
            let stat = read("io.stat");
            usage.io_read_bytes = files::summed(&stat, "rbytes");
            usage.io_write_bytes = files::summed(&stat, "wbytes");
        }
    }

    /// Kills every process in it and waits until the last one is dead.
    ///
    /// # Errors
    /// Some are alive at the deadline, or it cannot be said.
    pub(in super::super) fn end(&self, deadline: Instant) -> Result<(), CgroupError> {
        let began = Instant::now();
        let events = files::open_for_reading(self.dir.as_fd(), "cgroup.events")
            .map_err(CgroupError::at("open", self.file("cgroup.events")))?;
        let mut way = self.subtree.kill_way();
        let mut reached = Reached::Listed;
        let mut killed = began;
        while is_populated(&events).map_err(CgroupError::at("read", self.file("cgroup.events")))? {
            if reached == Reached::All && killed.elapsed() >= RECHECK {
                // `cgroup.kill` signals first threads, and does nothing to a process whose first thread
                // has ended while others run on. kill(2) signals processes.
                way = KillWay::OneByOne;
                reached = Reached::Listed;
            }
            if reached == Reached::Listed {
                reached = kill::kill(self.dir.as_fd(), way)
                    .map_err(CgroupError::at("write", self.file("cgroup.kill")))?;
                killed = Instant::now();
                self.let_die();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CgroupError::StillPopulated {
                    path: self.path(),
                    waited: began.elapsed(),
                });
            }
            wait_for_change(&events, left.min(RECHECK));
        }
        Ok(())
    }

    /// How many processes are in it and below.
    pub(in super::super) fn population(&self) -> usize {
        population(self.dir.as_fd())
    }

    /// The processes in it, and in those that it may have made below.
    pub(in super::super) fn processes(&self) -> Vec<i32> {
        processes(self.dir.as_fd())
    }

    /// Removes it, which succeeds only when no process is alive in it.
    ///
    /// # Errors
    /// EBUSY while there are any.
    pub(in super::super) fn remove(&self) -> Result<(), CgroupError> {
        remove(self.subtree.dir(), &self.name).map_err(CgroupError::at("remove", self.path()))
    }

    /// For the paths on which there is an error to report already.
    pub(in super::super) fn remove_or_log(&self) {
        if let Err(error) = self.remove() {
            log::warn!(
                "a cgroup is left for the next start: {}",
                with_causes(&error)
            );
        }
    }

    fn limit(&self, limits: &ResourceLimits) -> Result<(), CgroupError> {
        let controllers = self.subtree.controllers();
        if controllers.memory
            && let Some(memory) = limits.memory
        {
            self.set("memory.max", &memory.bytes().to_string())?;
        }
        if controllers.memory {
            // A half-killed tree is worth nothing (cgroups, "memory.oom.group").
            self.set("memory.oom.group", "1")?;
        }
        if controllers.swap {
            self.set("memory.swap.max", "0")?;
        }
        if controllers.cpu
            && let Some(millicores) = limits.cpu_millicores
        {
            self.set("cpu.max", &cpu_max(millicores.get()))?;
        }
        if controllers.pids
            && let Some(pids) = limits.pids
        {
            self.set("pids.max", &pids.to_string())?;
        }
        Ok(())
    }

    /// Dying takes processor time, of which many processes with little of it would not get enough
    /// before the deadline. Who has been killed does nothing else with it.
    fn let_die(&self) {
        if self.subtree.controllers().cpu
            && let Err(error) = self.set("cpu.max", "max")
        {
            log::debug!("a killed execution may die slowly: {}", with_causes(&error));
        }
    }

    fn set(&self, file: &'static str, value: &str) -> Result<(), CgroupError> {
        files::write(self.dir.as_fd(), file, value)
            .map_err(CgroupError::at("write", self.file(file)))
    }

    fn path(&self) -> PathBuf {
        self.subtree.path().join(&self.name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Birthplace for Leaf<'_> {
    fn directory(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    fn open_procs(&self) -> io::Result<OwnedFd> {
        files::open_for_writing(self.dir.as_fd(), "cgroup.procs")
    }
}

fn cpu_max(millicores: u32) -> String {
    let quota = u64::from(millicores) * CPU_PERIOD_US / 1000;
    format!("{} {CPU_PERIOD_US}", quota.max(CPU_QUOTA_MIN_US))
}

/// Counts what is below as well.
fn is_populated(events: &std::fs::File) -> io::Result<bool> {
    // One read at the file's start gives the whole of it: two short lines.
    let mut text = [0; 128];
    let count = events.read_at(&mut text, 0)?;
    let text = String::from_utf8_lossy(&text[..count]);
    Ok(files::keyed(&text, "populated") != Some(0))
}

/// The kernel reports a changed file of this kind as priority data (cgroups, "cgroup.events").
fn wait_for_change(events: &std::fs::File, at_most: Duration) {
    let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
    let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::MAX);
    // Interrupted or not: the caller looks again.
    let _ = poll(&mut fds, timeout);
}

/// A process may have made cgroups below its own, where it has the right: they go first.
fn remove(parent: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(Errno::EBUSY) => {}
        Err(errno) => return Err(errno.into()),
    }
    let dir = files::open_directory(parent, name)?;
    for child in subtree::children(dir.as_fd())? {
        remove(dir.as_fd(), &child)?;
    }
    Ok(unlinkat(parent, name, UnlinkatFlags::RemoveDir)?)
}

fn population(dir: BorrowedFd<'_>) -> usize {
    processes(dir).len()
}

fn processes(dir: BorrowedFd<'_>) -> Vec<i32> {
    let mut found = subtree::processes(dir);
    for child in subtree::open_children(dir) {
        found.extend(processes(child.as_fd()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millicores_become_a_share_of_the_period_that_the_kernel_takes() {
        assert_eq!(cpu_max(1000), "100000 100000");
        assert_eq!(cpu_max(250), "25000 100000");
        assert_eq!(cpu_max(2500), "250000 100000");
        assert_eq!(cpu_max(1), "1000 100000");
        assert_eq!(cpu_max(u32::MAX), "429496729500 100000");
    }
}
