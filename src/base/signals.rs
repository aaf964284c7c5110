//! SIGTERM, SIGINT and SIGHUP: the first asks for an orderly end, the second ends at once.
//!
//! Owns: the signal dispositions of the process and the thread that waits for them.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::threads::{Joined, Supervisor};

/// Ends its thread when dropped.
pub(crate) struct SignalWatcher {
    handle: Handle,
    // Joined after Drop has closed the handle.
    _thread: Joined,
}

/// Exit status of a process that a second signal ended: 128 + the signal's number, as a shell
/// reports it.
const SIGNAL_EXIT_BASE: i32 = 128;

/// Asks `supervisor` for shutdown at the first signal; at the second the process ends without
/// further ado. SIGHUP counts like SIGTERM: neither daemon reloads.
///
/// # Errors
/// The system's refusal to register a handler or to start the thread.
pub(crate) fn watch(supervisor: &Supervisor) -> io::Result<SignalWatcher> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = signals.handle();
    let for_thread = supervisor.clone();
    let thread = supervisor.spawn("signals", move || {
        let mut seen = 0u32;
        for signal in signals.forever() {
            seen += 1;
            if seen == 1 {
                log::info!("signal {signal}: finishing what runs; a second one ends at once");
                for_thread.request_shutdown();
            } else {
                log::warn!("signal {signal} again: ending at once");
                // Skips destructors on purpose: whatever hangs in one is what the user wants to end.
                // Everything durable is durable before it is answered.
                std::process::exit(SIGNAL_EXIT_BASE + signal);
            }
        }
    })?;
    Ok(SignalWatcher {
        handle,
        _thread: thread,
    })
}

impl Drop for SignalWatcher {
    fn drop(&mut self) {
        self.handle.close();
    }
}
