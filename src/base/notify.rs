//! What the service manager is told: ready, stopping and how long at the most (sd_notify(3)).
//!
//! Without `NOTIFY_SOCKET` in the environment every call does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// Beyond what a daemon says that its stop takes: threads that join, files that are synced.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// The daemon serves: units of `Type=notify` count as started from here.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// The daemon ends and drains what runs, which takes `longest` at the most. A unit's
/// TimeoutStopSec cannot know what is configured; without this, systemd would kill in the middle of
/// a drain.
pub fn stopping(status: &str, longest: Duration) {
    send(&[
        NotifyState::Stopping,
        NotifyState::Status(status),
        NotifyState::Custom(&extension(longest)),
    ]);
}

/// Not `NotifyState::ExtendTimeoutUsec`: its 32 bits end at 71 minutes.
fn extension(longest: Duration) -> String {
    let microseconds = longest.saturating_add(STOP_MARGIN).as_micros();
    format!("EXTEND_TIMEOUT_USEC={microseconds}")
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("failed to notify the service manager: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_of_hours_is_asked_for_in_full() {
        assert_eq!(
            extension(Duration::from_secs(7200)),
            "EXTEND_TIMEOUT_USEC=7210000000"
        );
    }
}
