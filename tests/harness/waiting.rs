//! Waiting for conditions with a deadline, and never for a time.

use std::time::{Duration, Instant};

/// Long enough for a loaded two-core machine; nothing ever waits this long when all is well.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks `probe` until it has an answer.
#[track_caller]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        pause();
    }
}

/// Between two questions of [`eventually`].
#[expect(clippy::disallowed_methods, reason = "a test has no token to wait on")]
pub fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}
