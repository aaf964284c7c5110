//! This process towards its system: how many files it may have open, how its allocator behaves,
//! and what the service manager is told of it (sd_notify(3)).
//!
//! Without `NOTIFY_SOCKET` in the environment nothing is told.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;

use crate::base::causes::with_causes;

/// Two arenas: enough that the threads of two processors rarely meet, where the default of eight
/// for each processor keeps a heap alive for every one of them.
const ARENAS: i32 = 2;
/// Buffers from this size on come from the kernel and go back to it at once. Set explicitly, it
/// stays: by itself the library raises it to the largest buffer ever freed, up to 32 MiB, and a
/// few large answers would then keep their memory for good.
const MMAP_THRESHOLD_BYTES: i32 = 256 << 10;

/// Beyond what a daemon says that its stop takes: threads that join, files that are synced.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// Raises the soft limit on open descriptors to the hard one. The usual soft limit of 1024 is
/// there for programs that use select(2), which ours do not, and is too low for the connections
/// they serve. A process that functions are started from gives them limits of their own.
///
/// Failing is no reason not to start: it is logged.
pub fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        log::warn!(
            "the limit on open files stays as it is: {}",
            with_causes(&error)
        );
    }
}

/// Makes an idle daemon small again after a burst. For the start of a process, before its threads.
pub(crate) fn keep_memory_small() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES),
    ] {
        // SAFETY: mallopt(3) takes two integers and may be called at any time.
        let accepted = unsafe { libc::mallopt(parameter, value) };
        if accepted == 0 {
            log::debug!("the allocator does not know parameter {parameter}");
        }
    }
}

/// The daemon serves: units of `Type=notify` count as started from here.
pub(crate) fn tell_ready() {
    send(&[NotifyState::Ready]);
}

/// The daemon ends and drains what runs, which takes `longest` at the most. A unit's
/// TimeoutStopSec cannot know what is configured; without this, systemd would kill in the middle of
/// a drain.
pub(crate) fn tell_stopping(status: &str, longest: Duration) {
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
        log::warn!("cannot notify the service manager: {}", with_causes(&error));
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
