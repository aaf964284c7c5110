//! Growing pauses between attempts, with jitter so that many waiters do not return as one.

use std::time::Duration;

use openssl::rand::rand_bytes;

/// Doubles from `first` to `most`; each pause is drawn from the upper half of its step.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    attempts: u32,
}

impl Backoff {
    /// A backoff that has seen no failure.
    pub(crate) const fn new(first: Duration, most: Duration) -> Backoff {
        Backoff {
            first,
            most,
            attempts: 0,
        }
    }

    /// The pause before the next attempt.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let step = self
            .first
            .saturating_mul(1u32.checked_shl(self.attempts).unwrap_or(u32::MAX))
            .min(self.most);
        self.attempts = self.attempts.saturating_add(1);
        let mut byte = [0u8];
        // Without randomness the pause is the whole step, which is merely less spread.
        let jitter = match rand_bytes(&mut byte) {
            Ok(()) => f64::from(byte[0]) / 510.0,
            Err(_) => 0.0,
        };
        step.mul_f64(1.0 - jitter)
    }

    /// After a success: the next failure starts small again.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_bound_and_keep_half_of_their_step() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        for step in [100, 200, 400, 800, 1600, 2000, 2000] {
            let pause = backoff.next_pause();
            let step = Duration::from_millis(step);
            assert!(pause <= step && pause >= step / 2, "{pause:?} of {step:?}");
        }
        for _ in 0..100 {
            assert!(backoff.next_pause() <= Duration::from_secs(2));
        }
        backoff.reset();
        assert!(backoff.next_pause() <= Duration::from_millis(100));
    }
}
