//! When to look, and what a look has to say.
//!
//! Refuses: to look before [`INTERVAL`] has passed, and to keep the run's thread: a call takes [`SLICE`] and one step.
//! Invariants: looking takes at most one part in 1 + [`REST`] of a processor, however large the directory is; only
//! two looks in a row that find too much are a verdict.
//!
//! Why two: a look is no snapshot. A file that it has counted can be removed, and another written where it has not
//! been yet: then it has found both, which were never there at once. The second begins when the first has ended,
//! with nothing counted.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::stat::FileStat;
use nix::sys::time::TimeValLike;
use nix::unistd::geteuid;

use super::super::limit::{Excess, Limit};
use super::held;
use super::tally::Tally;
use super::walk::{Progress, Walk};
use crate::base::causes::with_causes;
use crate::sandbox::Spec;

/// Between two looks. Without a cgroup, where `/proc` has to be searched for the processes, the smallest takes a
/// quarter of a millisecond: a hundred executions that sleep then cost a quarter of a processor.
const INTERVAL: Duration = Duration::from_millis(100);
/// Between two looks too, as a multiple of what the first of them took, where that is longer.
const REST: u32 = 10;
/// Of a look, between two looks at pipes, clock and control.
const SLICE: Duration = Duration::from_millis(1);

/// The looks at the directory of one execution.
pub(in super::super) struct Looks<'a> {
    spec: &'a Spec,
    limit: Limit,
    due: Instant,
    /// The one that is under way.
    look: Option<Look>,
    /// How many there were.
    turn: usize,
    /// Processor time since the last rest.
    cost: Duration,
    /// The look before has found too much.
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
    held: Option<Box<dyn Iterator<Item = Option<FileStat>>>>,
    turn: usize,
}

impl<'a> Looks<'a> {
    /// `None` without a limit.
    pub(in super::super) fn new(spec: &'a Spec, now: Instant) -> Option<Looks<'a>> {
        Some(Looks {
            spec,
            limit: Limit::new(spec.limits.disk?),
            due: now + INTERVAL,
            look: None,
            turn: 0,
            cost: Duration::ZERO,
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
    pub(in super::super) fn look(&mut self, processes: impl Fn() -> Vec<i32>) -> Option<Excess> {
        self.look_until(Instant::now() + SLICE, processes)
    }

    /// For one step at least. As long as there is more to do, it stays due.
    fn look_until(&mut self, end: Instant, processes: impl Fn() -> Vec<i32>) -> Option<Excess> {
        let before = spent();
        let mut look = match self.look.take() {
            Some(look) => look,
            None => self.begin()?,
        };
        let result = look.slice(end, processes);
        self.cost += spent().saturating_sub(before);
        match result {
            Ok(Progress::More) => self.look = Some(look),
            Ok(Progress::Done) => {
                self.is_second = false;
                self.note(&look);
                self.rest();
            }
            Err(excess) if mem::replace(&mut self.is_second, true) => {
                self.note(&look);
                return Some(excess);
            }
            // What it has found may never have been there at once.
            Err(_) => {}
        }
        None
    }

    fn begin(&mut self) -> Option<Look> {
        self.turn = self.turn.wrapping_add(1);
        match Look::new(self.spec, self.limit, self.turn) {
            Ok(look) => Some(look),
            Err(errno) => {
                self.complain(errno);
                // What the look before has found is no verdict together with one that is still to come.
                self.is_second = false;
                self.rest();
                None
            }
        }
    }

    fn note(&mut self, look: &Look) {
        self.peak = self.peak.max(Some(look.tally.bytes()));
    }

    fn rest(&mut self) {
        let cost = mem::take(&mut self.cost);
        self.due = Instant::now() + INTERVAL.max(cost * REST);
    }

    fn complain(&mut self, errno: Errno) {
        if !self.is_blind {
            let path = self.spec.cwd.display();
            let why = with_causes(&io::Error::from(errno));
            log::warn!("cannot measure {path}, whose disk limit is not held meanwhile: {why}");
        }
        self.is_blind = true;
    }
}

impl Look {
    /// `turn` differs from one look to the next.
    fn new(spec: &Spec, limit: Limit, turn: usize) -> Result<Look, Errno> {
        let owner = spec.identity.map_or(geteuid().as_raw(), |own| own.uid);
        let mut tally = Tally::new(limit, owner);
        Ok(Look {
            walk: Walk::new(&spec.cwd, &mut tally)?,
            tally,
            held: None,
            turn,
        })
    }

    fn slice(
        &mut self,
        end: Instant,
        processes: impl Fn() -> Vec<i32>,
    ) -> Result<Progress, Excess> {
        while self.step(&processes)? == Progress::More {
            if Instant::now() >= end {
                return Ok(Progress::More);
            }
        }
        Ok(Progress::Done)
    }

    fn step(&mut self, processes: impl Fn() -> Vec<i32>) -> Result<Progress, Excess> {
        match &mut self.held {
            None => {
                if self.walk.step(&mut self.tally)? == Progress::Done {
                    self.held = Some(Box::new(held::files(processes(), self.turn)));
                }
            }
            Some(held) => match held.next() {
                Some(Some(stat)) => self.tally.add_held(&stat)?,
                Some(None) => {}
                None => return Ok(Progress::Done),
            },
        }
        Ok(Progress::More)
    }
}

/// Looks once, to the end, when nothing runs any more. Says what has reached the limit: a program
/// that is ended because a file has, cannot have passed it.
pub(in super::super) fn reached(spec: &Spec) -> Option<Excess> {
    let disk = spec.limits.disk?;
    let mut look = Look::new(spec, Limit::new(disk), 0).ok()?;
    loop {
        match look.step(Vec::new) {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => break,
            Err(excess) => return Some(excess),
        }
    }
    let used = look.tally.bytes();
    (used >= disk.bytes()).then_some(Excess::Bytes { used, limit: disk })
}

/// Processor time of this thread. What a look waits for, a processor that others keep or a slow disk, is no cost:
/// the longer it took, the longer nobody would look.
fn spent() -> Duration {
    getrusage(UsageWho::RUSAGE_THREAD).map_or(Duration::ZERO, |usage| {
        let micros = (usage.user_time() + usage.system_time()).num_microseconds();
        Duration::from_micros(micros.unsigned_abs())
    })
}

#[cfg(test)]
mod tests;
