//! What the service manager is told: ready, stopping, a line of status (sd_notify(3)).
//!
//! Without `NOTIFY_SOCKET` in the environment every call does nothing.

use sd_notify::NotifyState;

/// The daemon serves: units of `Type=notify` count as started from here.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// The daemon ends and drains what runs.
pub fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("failed to notify the service manager: {error}");
    }
}
