//! Time as it is handed to whoever decides by it: the wall clock that is recorded, and the steady
//! clock by which waits and durations are measured.
//!
//! Owns: [`Clock`], of which there is the system's and a simulated one. What only bounds input and
//! output (deadlines of sockets, of child processes) measures with `std::time::Instant`; everything
//! that decides (expiry, health, queues, schedules) takes a clock, so that a test can play a day in
//! a second.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Add;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, at, bounded, select};

use super::cancel::Cancel;
use super::threads::lock;

/// What [`Moment`]s of the system's clock are counted from.
static PROCESS_START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A moment, in whole milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A moment of a clock's steady time, which nobody sets: for waits and durations. Means nothing to
/// another clock or process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(Duration);

/// Gives the time; cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Simulated(Arc<Simulated>),
}

/// The hands of a simulated clock: time passes when they are moved, and not otherwise.
#[derive(Debug, Clone)]
pub struct Hands(Arc<Simulated>);

#[derive(Debug)]
struct Simulated {
    began_at: Timestamp,
    state: Mutex<SimulatedTime>,
}

#[derive(Debug, Default)]
struct SimulatedTime {
    passed: Duration,
    /// How far somebody has set the wall clock, in milliseconds.
    set_by: i64,
    alarms: BinaryHeap<Reverse<Alarm>>,
    next_alarm: u64,
}

#[derive(Debug)]
struct Alarm {
    due: Duration,
    /// Alarms of one moment go off in the order in which they were set.
    number: u64,
    sender: Sender<Instant>,
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Alarm) -> bool {
        self.number == other.number
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Alarm) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Alarm) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// Saturating.
    fn add(self, later: Duration) -> Moment {
        Moment(self.0.saturating_add(later))
    }
}

impl Moment {
    /// Time from `earlier` to this moment; zero when it is the later one.
    pub(crate) fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Clock {
    /// The machine's.
    pub fn system() -> Clock {
        LazyLock::force(&PROCESS_START);
        Clock(Source::System)
    }

    /// One that stands still at `began_at` until its hands are moved.
    pub fn simulated(began_at: Timestamp) -> (Clock, Hands) {
        let simulated = Arc::new(Simulated {
            began_at,
            state: Mutex::default(),
        });
        (
            Clock(Source::Simulated(Arc::clone(&simulated))),
            Hands(simulated),
        )
    }

    /// The wall clock, which may be set, forwards and backwards; 1970 if it stands before that.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Source::Simulated(simulated) => simulated.now(),
        }
    }

    /// The steady clock.
    pub(crate) fn moment(&self) -> Moment {
        Moment(match &self.0 {
            Source::System => PROCESS_START.elapsed(),
            Source::Simulated(simulated) => lock(&simulated.state).passed,
        })
    }

    /// For `select!`: gets one message once `due` has come.
    pub(crate) fn alarm(&self, due: Moment) -> Receiver<Instant> {
        match &self.0 {
            Source::System => at(*PROCESS_START + due.0),
            Source::Simulated(simulated) => simulated.alarm(due.0),
        }
    }

    /// Waits for `pause`, or until the pull; says whether it was pulled.
    pub(crate) fn wait(&self, cancel: &Cancel, pause: Duration) -> bool {
        match &self.0 {
            Source::System => cancel.wait_timeout(pause),
            Source::Simulated(_) => select! {
                recv(cancel.receiver()) -> _ => true,
                recv(self.alarm(self.moment() + pause)) -> _ => false,
            },
        }
    }
}

impl Hands {
    /// Lets time pass; what falls due on the way goes off in order.
    pub fn advance(&self, by: Duration) {
        let mut state = lock(&self.0.state);
        let until = state.passed.saturating_add(by);
        while let Some(Reverse(next)) = state.alarms.peek()
            && next.due <= until
        {
            let Some(Reverse(alarm)) = state.alarms.pop() else {
                break;
            };
            state.passed = alarm.due;
            // Nobody may be waiting for it any more.
            let _ = alarm.sender.try_send(Instant::now());
        }
        state.passed = until;
    }

    /// Sets the wall clock, as an operator or a time server does; steady time knows nothing of it.
    pub fn set_wall_clock(&self, by_millis: i64) {
        let mut state = lock(&self.0.state);
        state.set_by = state.set_by.saturating_add(by_millis);
    }
}

impl Simulated {
    fn now(&self) -> Timestamp {
        let state = lock(&self.state);
        let shown = self.began_at.after(state.passed);
        Timestamp(shown.0.saturating_add(state.set_by))
    }

    fn alarm(&self, due: Duration) -> Receiver<Instant> {
        let (sender, receiver) = bounded(1);
        let mut state = lock(&self.state);
        if due <= state.passed {
            let _ = sender.try_send(Instant::now());
            return receiver;
        }
        let number = state.next_alarm;
        state.next_alarm += 1;
        state.alarms.push(Reverse(Alarm {
            due,
            number,
            sender,
        }));
        receiver
    }
}

impl Timestamp {
    /// Later than every other one.
    pub(crate) const MAX: Timestamp = Timestamp(i64::MAX);

    /// From milliseconds since 1970-01-01 UTC.
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) const fn as_millis(self) -> i64 {
        self.0
    }

    /// Later by `by`, saturating.
    #[must_use]
    pub fn after(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(by)))
    }

    /// Earlier by `by`, saturating.
    #[must_use]
    pub fn before(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(by)))
    }

    /// Time from `earlier` to this moment; zero if the clock went backwards between.
    pub(crate) fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `2026-03-01T12:00:00.125Z` (RFC 3339, UTC, milliseconds).
    pub(crate) fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map(|time| format!("{time:.3}"))
            .unwrap_or_default()
    }

    /// Reads RFC 3339 with any offset and any number of decimals; what is finer than a
    /// millisecond is cut. `None` for other texts.
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(Timestamp(time.as_millisecond()))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::pair;
    use crate::base::threads::Supervisor;

    const NOON: Timestamp = Timestamp::from_millis(1_772_366_400_000);

    #[test]
    fn simulated_time_passes_when_its_hands_are_moved_and_alarms_go_off_on_the_way() {
        let (clock, hands) = Clock::simulated(NOON);
        let (began, an_hour) = (clock.moment(), Duration::from_secs(3600));
        let later = clock.alarm(began + an_hour * 2);
        let soon = clock.alarm(began + an_hour);
        assert_eq!(clock.now(), NOON);
        hands.advance(an_hour);
        assert!(soon.try_recv().is_ok() && later.try_recv().is_err());
        hands.advance(an_hour * 5);
        assert!(later.try_recv().is_ok());
        assert_eq!(clock.moment().since(began), an_hour * 6);
        assert_eq!(clock.now(), NOON.after(an_hour * 6));
        assert!(clock.alarm(began).try_recv().is_ok(), "it is past already");
    }

    #[test]
    fn a_wall_clock_that_is_set_leaves_steady_time_alone() {
        let (clock, hands) = Clock::simulated(NOON);
        let began = clock.moment();
        hands.set_wall_clock(-3_600_000);
        assert_eq!(clock.now(), NOON.before(Duration::from_secs(3600)));
        assert_eq!(clock.moment(), began);
    }

    #[test]
    fn a_wait_by_a_simulated_clock_ends_with_its_time_or_its_pull() {
        let supervisor = Supervisor::new();
        let (clock, hands) = Clock::simulated(NOON);
        let (trigger, cancel) = pair();
        let (sender, ended) = bounded(2);
        let _waiters = [1, 100].map(|pause| {
            let (clock, cancel, sender) = (clock.clone(), cancel.clone(), sender.clone());
            supervisor.spawn("waiter", move || {
                let pulled = clock.wait(&cancel, Duration::from_secs(pause));
                let _ = sender.send(pulled);
            })
        });
        while lock(&hands.0.state).alarms.len() < 2 {
            std::thread::yield_now();
        }
        hands.advance(Duration::from_secs(10));
        assert_eq!(ended.recv(), Ok(false));
        trigger.pull();
        assert_eq!(ended.recv(), Ok(true));
    }

    #[test]
    fn timestamps_are_written_as_rfc3339_with_milliseconds() {
        let time = Timestamp::from_millis(1_772_366_400_125);
        assert_eq!(time.to_rfc3339(), "2026-03-01T12:00:00.125Z");
        assert_eq!(
            Timestamp::from_millis(0).to_rfc3339(),
            "1970-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn rfc3339_is_read_with_offsets_and_nanoseconds() {
        for text in [
            "2026-03-01T12:00:00.125Z",
            "2026-03-01T13:00:00.125999999+01:00",
        ] {
            assert_eq!(
                Timestamp::parse_rfc3339(text),
                Some(Timestamp::from_millis(1_772_366_400_125)),
                "{text}"
            );
        }
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_clock_set_back_gives_zero_and_not_a_huge_duration() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_500));
        assert_eq!(late.since(early), Duration::from_millis(2_500));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
