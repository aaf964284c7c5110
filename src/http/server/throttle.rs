//! At most one log line per period for something that a stranger can cause at will.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::base::threads::lock;

/// 10 s between two lines of a kind: enough to see it, too little to fill a disk.
const PERIOD: Duration = Duration::from_secs(10);

/// One kind of line.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spoken: Option<Instant>,
    suppressed: u64,
}

impl Throttle {
    /// Warns, unless a line was written within the period; then it is counted.
    pub(super) fn warn(&self, message: impl FnOnce() -> String) {
        if let Some(suppressed) = self.turn(Instant::now()) {
            log::warn!("{} ({suppressed} alike before, not logged)", message());
        }
    }

    fn turn(&self, now: Instant) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.spoken.is_some_and(|spoken| now < spoken + PERIOD) {
            state.suppressed += 1;
            return None;
        }
        state.spoken = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_within_the_period_are_counted_and_not_written() {
        let throttle = Throttle::default();
        let start = Instant::now();
        assert_eq!(throttle.turn(start), Some(0));
        assert_eq!(throttle.turn(start + PERIOD / 2), None);
        assert_eq!(throttle.turn(start + PERIOD / 2), None);
        assert_eq!(throttle.turn(start + PERIOD), Some(2));
        assert_eq!(throttle.turn(start + PERIOD * 3), Some(0));
    }
}
