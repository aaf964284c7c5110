//! When to look, and when a look is a verdict.
//!
//! Invariants: nothing is done before the first look is due; a call takes at most [`SLICE_STEPS`]
//! steps; over a long run, looking takes at most about 1/[`REST`] of a processor, or 1/[`SHORT_REST`]
//! while free space falls as it would if the limit were being passed; only two looks in a row make a verdict, because
//! one that runs while a file is replaced can count both.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;

use super::super::limit::{Excess, Limit};
use super::held::Held;
use super::tally::Tally;
use super::walk::{Progress, Walk};
use crate::sandbox::Spec;

/// Bytes per second that an execution is thought to write at the most: into the page cache, and more
/// than one disk of its time keeps up with.
pub(super) const WRITE_RATE: u64 = 4_000_000_000;
/// Between two looks, however little is left of the limit.
pub(super) const LOOK_SOONEST: Duration = Duration::from_millis(50);
/// However much is left: entries and reserved space know no rate.
const LOOK_LATEST: Duration = Duration::from_secs(1);
/// After a look, as a multiple of what it took.
const REST: u32 = 20;
/// The same while free space falls by what is left of the limit: this execution may be the one that
/// takes it, or another.
const SHORT_REST: u32 = 4;
/// Entries or descriptors that are looked at between two looks at pipes and clock: about 1 ms.
const SLICE_STEPS: u32 = 512;

/// Those at one run.
pub(in super::super) struct Looks<'a> {
    spec: &'a Spec,
    limit: Limit,
    due: Instant,
    look: Option<Look>,
    /// Of the limit, after the last look.
    left: u64,
    /// Of the file system, before the last look.
    free: Option<u64>,
    /// What the present look, or the last, took.
    cost: Duration,
    /// When the last look ended.
    looked: Option<Instant>,
    /// The process at which the last look had to stop.
    stopped_at: Option<i32>,
    /// The look before this one has found too much.
    is_second: bool,
    /// The most that a look has found; `None` before the first.
    peak: Option<u64>,
    is_blind: bool,
}

/// One, from its start to its end.
struct Look {
    tally: Tally,
    walk: Walk,
    /// After the walk: a file that is removed meanwhile is then seen by one of them at least.
    held: Option<Held>,
}

impl<'a> Looks<'a> {
    /// `None` without a limit.
    pub(in super::super) fn new(spec: &'a Spec, now: Instant) -> Option<Looks<'a>> {
        let limit = Limit::new(spec.limits.disk?);
        Some(Looks {
            spec,
            limit,
            due: now + interval(limit.bytes()),
            look: None,
            left: limit.bytes(),
            free: None,
            cost: Duration::ZERO,
            looked: None,
            stopped_at: None,
            is_second: false,
            peak: None,
            is_blind: false,
        })
    }

    /// When to call [`Looks::look`] again.
    pub(in super::super) fn due(&self) -> Instant {
        self.due
    }

    /// The most that was found at once, in bytes.
    pub(in super::super) fn peak(&self) -> Option<u64> {
        self.peak
    }

    /// Looks on for a slice; `processes` are those of the tree. Says what is too much.
    pub(in super::super) fn look(
        &mut self,
        processes: impl FnOnce() -> Vec<i32>,
    ) -> Option<Excess> {
        let began = Instant::now();
        let mut look = match self.look.take() {
            Some(look) => look,
            None if self.may_rest(began) => {
                self.due = began + interval(self.left);
                return None;
            }
            None => self.begin(began)?,
        };
        let result = look.slice(processes, self.stopped_at);
        self.cost += began.elapsed();
        let found = look.tally.bytes();
        match result {
            Ok(Progress::More) => {
                self.look = Some(look);
                self.due = began;
                None
            }
            Ok(Progress::Done) => {
                self.stopped_at = look.held.as_ref().and_then(Held::stopped_at);
                self.finish(found);
                None
            }
            Err(excess) if self.is_second => {
                self.peak = self.peak.max(Some(found));
                Some(excess)
            }
            Err(_) => {
                self.is_second = true;
                self.looked = None;
                self.due = began;
                None
            }
        }
    }

    /// Whether a new look can wait: the last one was costly, and less space has gone since than was
    /// left. (Others can have freed some: then the end of the whole rest brings it to light.)
    fn may_rest(&self, now: Instant) -> bool {
        let has_room = |then: u64| {
            free_space(&self.spec.cwd).is_some_and(|free| free.saturating_add(self.left) > then)
        };
        let is_within = |rest| {
            self.looked
                .is_some_and(|looked| now < looked + self.cost * rest)
        };
        is_within(SHORT_REST) || (is_within(REST) && self.free.is_some_and(has_room))
    }

    fn begin(&mut self, now: Instant) -> Option<Look> {
        self.cost = Duration::ZERO;
        self.free = free_space(&self.spec.cwd);
        match Look::new(self.spec, self.limit) {
            Ok(look) => Some(look),
            Err(errno) => {
                self.complain(errno);
                self.due = now + LOOK_LATEST;
                None
            }
        }
    }

    fn finish(&mut self, used: u64) {
        let now = Instant::now();
        self.is_second = false;
        self.peak = self.peak.max(Some(used));
        self.left = self.limit.bytes().saturating_sub(used);
        self.due = now + interval(self.left);
        self.looked = Some(now);
    }

    fn complain(&mut self, errno: Errno) {
        if !self.is_blind {
            let path = self.spec.cwd.display();
            log::warn!("failed to measure {path}, whose disk limit is not held meanwhile: {errno}");
        }
        self.is_blind = true;
    }
}

impl Look {
    fn new(spec: &Spec, limit: Limit) -> Result<Look, Errno> {
        let owner = spec.identity.map_or(geteuid().as_raw(), |own| own.uid);
        let root = open_root(&spec.cwd)?;
        let stat = fstat(&root)?;
        Ok(Look {
            tally: Tally::new(limit, owner, &stat),
            walk: Walk::new(root, &stat)?,
            held: None,
        })
    }

    /// `last` is the process at which the look before had to stop.
    fn slice(
        &mut self,
        processes: impl FnOnce() -> Vec<i32>,
        last: Option<i32>,
    ) -> Result<Progress, Excess> {
        let mut processes = Some(processes);
        for _ in 0..SLICE_STEPS {
            match &mut self.held {
                Some(held) => {
                    if held.step(&mut self.tally)? == Progress::Done {
                        return Ok(Progress::Done);
                    }
                }
                None => {
                    if self.walk.step(&mut self.tally)? == Progress::Done {
                        self.held = processes.take().map(|list| Held::new(list(), last));
                    }
                }
            }
        }
        Ok(Progress::More)
    }
}

/// Looks once, to the end, when nothing runs any more. Says what has reached the limit: a program
/// that is ended because a file has, cannot have passed it.
pub(in super::super) fn reached(spec: &Spec) -> Option<Excess> {
    let disk = spec.limits.disk?;
    let mut look = Look::new(spec, Limit::new(disk)).ok()?;
    loop {
        match look.slice(Vec::new, None) {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => break,
            Err(excess) => return Some(excess),
        }
    }
    let used = look.tally.bytes();
    (used >= disk.bytes()).then_some(Excess::Bytes { used, limit: disk })
}

/// In which what is left could be filled.
fn interval(left: u64) -> Duration {
    let micros = left / (WRITE_RATE / 1_000_000);
    Duration::from_micros(micros).clamp(LOOK_SOONEST, LOOK_LATEST)
}

fn open_root(directory: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    open(directory, flags, Mode::empty())
}

fn free_space(directory: &Path) -> Option<u64> {
    let figures = statvfs(directory).ok()?;
    Some(
        figures
            .blocks_free()
            .saturating_mul(figures.fragment_size()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_look_comes_before_what_is_left_can_be_filled_within_bounds() {
        assert_eq!(interval(0), LOOK_SOONEST);
        assert_eq!(interval(WRITE_RATE / 2), Duration::from_millis(500));
        assert_eq!(interval(u64::MAX), LOOK_LATEST);
    }
}
