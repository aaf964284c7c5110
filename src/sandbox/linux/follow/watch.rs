//! Follows one running execution to the point where its tree is to be ended: one loop over its two
//! pipes, its leader, its control, its clock and its disk limit.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::control::Control;
use super::leader::Leader;
use super::pipes::Pipes;
use super::tree::Tree;
use crate::base::causes::with_causes;
use crate::model::output::Stream;
use crate::sandbox::platform::disk::{DiskWatch, Excess};
use crate::sandbox::{OutputSink, Spec, StopReason};

/// What decided the end. The first of them stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Verdict {
    /// The leader's own.
    Ended,
    TimedOut,
    Stopped(StopReason),
    OutOfDisk(Excess),
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Watched {
    pub verdict: Verdict,
    pub leaked_pipes: bool,
    /// `None` while the leader lives.
    pub leader_ended: Option<Instant>,
    /// The most bytes that were found on disk at once, where there was a look.
    pub disk_peak: Option<u64>,
}

/// Where the execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running {
        timeout: Option<Instant>,
    },
    /// SIGTERM has been sent.
    Terminating {
        until: Instant,
    },
    /// The leader has ended; others may still write.
    Closing {
        until: Instant,
        verdict: Verdict,
    },
    Over(Verdict),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    LeaderEnded,
    Stop(StopReason),
    /// More is on disk than may be.
    DiskExceeded(Excess),
    /// The phase's own time is up.
    Deadline,
    PipesEnded,
}

/// The two graces of a specification.
#[derive(Debug, Clone, Copy)]
struct Graces {
    kill: Duration,
    pipe: Duration,
}

/// Returns when nothing of the tree should live on; the caller ends it.
pub(in crate::sandbox) fn watch(
    tree: &Tree<'_>,
    leader: &Leader,
    pipes: &mut Pipes,
    control: &Control,
    spec: &Spec,
    began: Instant,
    sink: &mut dyn OutputSink,
) -> Watched {
    let graces = Graces {
        kill: spec.kill_grace,
        pipe: spec.pipe_grace,
    };
    let mut leader_ended = None;
    let mut phase = Phase::Running {
        timeout: spec
            .limits
            .timeout
            .and_then(|timeout| began.checked_add(timeout)),
    };
    let mut disk = DiskWatch::new(spec, began);
    loop {
        let alive = leader_ended.is_none().then(|| leader.pidfd());
        let wake = phase.deadline().into_iter().chain(disk.due()).min();
        let ready = wait(pipes, alive, control.event(), wake);
        for stream in ready.streams.into_iter().flatten() {
            pipes.read(stream, sink);
        }
        let excess = match ready.leader_ended {
            true => None,
            false => disk.look(Instant::now(), || tree.processes(leader)),
        };
        let now = Instant::now();
        let stop = control.stopped();
        let is_late = phase.deadline().is_some_and(|deadline| now >= deadline);
        // The leader first, and looked at again: an end that was there before a stop, an excess or a
        // timeout was handled is the end, also when the sink took its time in between.
        let must_look_again =
            leader_ended.is_none() && (stop.is_some() || excess.is_some() || is_late);
        if ready.leader_ended || (must_look_again && leader.has_ended()) {
            leader_ended = Some(now);
            phase = phase.after(Event::LeaderEnded, now, graces);
        }
        if let Some(reason) = stop {
            phase = phase.after(Event::Stop(reason), now, graces);
        }
        if let Some(excess) = excess {
            phase = phase.after(Event::DiskExceeded(excess), now, graces);
        }
        if pipes.have_ended() {
            phase = phase.after(Event::PipesEnded, now, graces);
        }
        if phase.deadline().is_some_and(|deadline| now >= deadline) {
            if matches!(phase, Phase::Running { .. }) {
                leader.signal_group(libc::SIGTERM);
            }
            phase = phase.after(Event::Deadline, now, graces);
        }
        if let Phase::Over(verdict) = phase {
            return Watched {
                verdict,
                leaked_pipes: leader_ended.is_some() && !pipes.have_ended(),
                leader_ended,
                disk_peak: disk.peak(),
            };
        }
    }
}

impl Phase {
    fn deadline(self) -> Option<Instant> {
        match self {
            Phase::Running { timeout } => timeout,
            Phase::Terminating { until } | Phase::Closing { until, .. } => Some(until),
            Phase::Over(_) => None,
        }
    }

    /// The whole table.
    fn after(self, event: Event, now: Instant, graces: Graces) -> Phase {
        let closing = |verdict| Phase::Closing {
            until: now + graces.pipe,
            verdict,
        };
        match (self, event) {
            (Phase::Running { .. }, Event::LeaderEnded) => closing(Verdict::Ended),
            (Phase::Running { .. }, Event::Stop(reason)) => Phase::Over(Verdict::Stopped(reason)),
            // At once, as a cancel: a grace would be time to write on.
            (Phase::Running { .. }, Event::DiskExceeded(excess)) => {
                Phase::Over(Verdict::OutOfDisk(excess))
            }
            (Phase::Running { .. }, Event::Deadline) => Phase::Terminating {
                until: now + graces.kill,
            },
            // A program may close its outputs and work on.
            (Phase::Running { .. } | Phase::Terminating { .. }, Event::PipesEnded) => self,
            (Phase::Terminating { .. }, Event::LeaderEnded) => closing(Verdict::TimedOut),
            (
                Phase::Terminating { .. },
                Event::Stop(_) | Event::DiskExceeded(_) | Event::Deadline,
            ) => Phase::Over(Verdict::TimedOut),
            (
                Phase::Closing { verdict, .. },
                Event::Stop(_) | Event::DiskExceeded(_) | Event::Deadline | Event::PipesEnded,
            ) => Phase::Over(verdict),
            (Phase::Closing { .. }, Event::LeaderEnded) | (Phase::Over(_), _) => self,
        }
    }
}

/// What a wait has found.
struct Ready {
    streams: [Option<Stream>; 2],
    leader_ended: bool,
}

/// Nothing is ready after the deadline or an interruption.
fn wait(
    pipes: &Pipes,
    leader: Option<BorrowedFd<'_>>,
    control: BorrowedFd<'_>,
    deadline: Option<Instant>,
) -> Ready {
    const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];
    // One that is not there is replaced by the control: asked for nothing, it reports nothing that
    // anybody looks at.
    let entry = |fd: Option<BorrowedFd<'_>>| match fd {
        Some(_) => PollFlags::POLLIN,
        None => PollFlags::empty(),
    };
    let [stdout, stderr] = STREAMS.map(|stream| pipes.fd(stream));
    let mut fds = [
        PollFd::new(stdout.unwrap_or(control), entry(stdout)),
        PollFd::new(stderr.unwrap_or(control), entry(stderr)),
        PollFd::new(leader.unwrap_or(control), entry(leader)),
        PollFd::new(control, PollFlags::POLLIN),
    ];
    let timeout =
        deadline.map(|deadline| TimeSpec::from(deadline.saturating_duration_since(Instant::now())));
    match ppoll(&mut fds, timeout, None) {
        Ok(_) | Err(Errno::EINTR) => {}
        // EINVAL and EFAULT are out of question; ENOMEM passes.
        Err(errno) => log::error!(
            "cannot poll an execution: {}",
            with_causes(&io::Error::from(errno))
        ),
    }
    let is_ready = |index: usize| fds[index].revents().is_some_and(|flags| !flags.is_empty());
    Ready {
        streams: [
            is_ready(0).then_some(STREAMS[0]),
            is_ready(1).then_some(STREAMS[1]),
        ],
        leader_ended: leader.is_some() && is_ready(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACES: Graces = Graces {
        kill: Duration::from_secs(2),
        pipe: Duration::from_secs(1),
    };

    #[test]
    fn every_phase_has_an_answer_to_every_event() {
        use Event::{Deadline, DiskExceeded, LeaderEnded, PipesEnded, Stop};
        use Verdict::{Ended, OutOfDisk, Stopped, TimedOut};
        let excess = Excess::Depth { limit: 1 };
        let out_of_disk = Phase::Over(OutOfDisk(excess));
        let now = Instant::now();
        let stop = Stop(StopReason::Cancelled);
        let stopped = Phase::Over(Stopped(StopReason::Cancelled));
        let running = Phase::Running { timeout: None };
        let terminating = Phase::Terminating {
            until: now + GRACES.kill,
        };
        let closing = |verdict| Phase::Closing {
            until: now + GRACES.pipe,
            verdict,
        };
        let over = Phase::Over;
        for (phase, [ended, stop_after, disk, deadline, pipes]) in [
            (
                running,
                [closing(Ended), stopped, out_of_disk, terminating, running],
            ),
            (
                terminating,
                [
                    closing(TimedOut),
                    over(TimedOut),
                    over(TimedOut),
                    over(TimedOut),
                    terminating,
                ],
            ),
            (
                closing(Ended),
                [
                    closing(Ended),
                    over(Ended),
                    over(Ended),
                    over(Ended),
                    over(Ended),
                ],
            ),
            (
                closing(TimedOut),
                [
                    closing(TimedOut),
                    over(TimedOut),
                    over(TimedOut),
                    over(TimedOut),
                    over(TimedOut),
                ],
            ),
            (over(Ended), [over(Ended); 5]),
            (stopped, [stopped; 5]),
            (out_of_disk, [out_of_disk; 5]),
        ] {
            assert_eq!(phase.after(LeaderEnded, now, GRACES), ended, "{phase:?}");
            assert_eq!(phase.after(stop, now, GRACES), stop_after, "{phase:?}");
            let exceeded = DiskExceeded(excess);
            assert_eq!(phase.after(exceeded, now, GRACES), disk, "{phase:?}");
            assert_eq!(phase.after(Deadline, now, GRACES), deadline, "{phase:?}");
            assert_eq!(phase.after(PipesEnded, now, GRACES), pipes, "{phase:?}");
        }
    }
}
