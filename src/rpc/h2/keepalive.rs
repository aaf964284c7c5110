//! Whether the other end is still there: what to ask, when, and how much asking to bear.

use std::time::{Duration, Instant};

use crate::rpc::limits::KEEPALIVE_TIME;

/// How a link treats silence.
#[derive(Debug, Clone, Copy)]
pub(in crate::rpc) struct Keepalive {
    /// Silence after which the other end is asked.
    pub time: Duration,
    /// Silence after the question after which it is dead.
    pub timeout: Duration,
    /// It is asked while no stream is open, too.
    pub when_idle: bool,
    /// Between two questions of the other end; `None` bears all.
    pub tolerated: Option<Duration>,
}

impl Keepalive {
    /// Who takes nothing of what was sent for so long is gone, even if it goes on to speak: as long as who is silent has,
    /// but no longer than a peer that is asked seldom.
    pub(super) fn unread_most(&self) -> Duration {
        self.time.min(KEEPALIVE_TIME) + self.timeout
    }
}

/// Questions that come too early before the other end is cut off for it (gRFC A8).
const STRIKES: u32 = 2;

/// Since when the other end has been silent, whether it was asked, and how often it asks.
#[derive(Debug)]
pub(super) struct Silence {
    keepalive: Keepalive,
    heard: Instant,
    asked: Option<Instant>,
    last_ping: Option<Instant>,
    strikes: u32,
}

/// What to do about silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing until then.
    Wait(Instant),
    /// Ask, and look again then.
    Ask(Instant),
    /// Nobody is there.
    Dead,
}

impl Silence {
    pub(super) fn new(keepalive: Keepalive, now: Instant) -> Silence {
        Silence {
            keepalive,
            heard: now,
            asked: None,
            last_ping: None,
            strikes: 0,
        }
    }

    /// Something came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// The answer to a question came.
    pub(super) fn answered(&mut self) {
        self.asked = None;
    }

    /// A call came: who works may ask anew (gRFC A8).
    pub(super) fn worked(&mut self) {
        self.last_ping = None;
        self.strikes = 0;
    }

    pub(super) fn next(&mut self, now: Instant, is_idle: bool) -> Next {
        if let Some(asked) = self.asked {
            let dead_at = asked + self.keepalive.timeout;
            return if now >= dead_at {
                Next::Dead
            } else {
                Next::Wait(dead_at)
            };
        }
        let ask_at = self.heard + self.keepalive.time;
        if now < ask_at {
            return Next::Wait(ask_at);
        }
        if is_idle && !self.keepalive.when_idle {
            return Next::Wait(now + self.keepalive.time);
        }
        self.asked = Some(now);
        Next::Ask(now + self.keepalive.timeout)
    }

    /// The other end asks: whether that is within bounds.
    pub(super) fn bears_ping(&mut self, now: Instant, is_idle: bool) -> bool {
        let Some(tolerated) = self.keepalive.tolerated else {
            return true;
        };
        let last = self.last_ping.replace(now);
        let is_early = last.is_some_and(|last| now < last + tolerated);
        if is_early && is_idle {
            self.strikes += 1;
        } else if !is_early {
            self.strikes = 0;
        }
        self.strikes <= STRIKES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn silence(when_idle: bool) -> (Silence, Instant) {
        let now = Instant::now();
        let keepalive = Keepalive {
            time: 10 * SECOND,
            timeout: 3 * SECOND,
            when_idle,
            tolerated: Some(5 * SECOND),
        };
        (Silence::new(keepalive, now), now)
    }

    #[test]
    fn who_is_silent_is_asked_and_dead_without_an_answer() {
        let (mut silence, start) = silence(true);
        let at = |seconds: u32| start + seconds * SECOND;
        assert_eq!(silence.next(at(9), true), Next::Wait(at(10)));
        assert_eq!(silence.next(at(10), true), Next::Ask(at(13)));
        assert_eq!(silence.next(at(12), true), Next::Wait(at(13)));
        silence.heard(at(12));
        assert_eq!(silence.next(at(13), true), Next::Wait(at(22)));
        assert_eq!(silence.next(at(22), true), Next::Ask(at(25)));
        assert_eq!(silence.next(at(25), true), Next::Dead);
    }

    #[test]
    fn nobody_is_asked_over_an_idle_link_where_that_is_not_wanted() {
        let (mut silence, start) = silence(false);
        let at = |seconds: u32| start + seconds * SECOND;
        assert_eq!(silence.next(at(10), true), Next::Wait(at(20)));
        assert_eq!(silence.next(at(20), false), Next::Ask(at(23)));
    }

    #[test]
    fn who_asks_more_often_than_agreed_is_not_borne() {
        let (mut silence, start) = silence(true);
        let at = |seconds: u32| start + seconds * SECOND;
        assert!(silence.bears_ping(at(0), true));
        assert!(silence.bears_ping(at(5), true));
        assert!(silence.bears_ping(at(6), true));
        assert!(silence.bears_ping(at(7), true));
        assert!(!silence.bears_ping(at(8), true));
        silence.worked();
        assert!(silence.bears_ping(at(8), true));
    }
}
