//! The way into a running execution from other threads: one reason, and a descriptor to poll.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::sandbox::{SandboxError, StopReason};

/// Ends one run from other threads. All clones speak of the same run.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    // Readable once there is a reason. Never read, so it stays readable.
    event: EventFd,
    reason: AtomicU8,
}

const NONE: u8 = 0;
const CANCELLED: u8 = 1;
const SHUTDOWN: u8 = 2;

impl Control {
    /// One that nobody has stopped.
    ///
    /// # Errors
    /// The system's refusal of one more descriptor.
    pub fn new() -> Result<Control, SandboxError> {
        let event =
            EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
                .map_err(|errno| SandboxError::System {
                    action: "create an eventfd",
                    source: errno.into(),
                })?;
        Ok(Control {
            shared: Arc::new(Shared {
                event,
                reason: AtomicU8::new(NONE),
            }),
        })
    }

    /// Ends the run; the first reason stays. A stop before the run keeps it from starting, one
    /// after its end does nothing.
    pub fn stop(&self, reason: StopReason) {
        let value = match reason {
            StopReason::Cancelled => CANCELLED,
            StopReason::Shutdown => SHUTDOWN,
        };
        let first =
            self.shared
                .reason
                .compare_exchange(NONE, value, Ordering::Release, Ordering::Relaxed);
        if first.is_ok() {
            // A nonblocking eventfd refuses a write only when the counter is about to overflow.
            let _ = self.shared.event.write(1);
        }
    }

    /// The first reason, when there is one.
    pub(crate) fn stopped(&self) -> Option<StopReason> {
        match self.shared.reason.load(Ordering::Acquire) {
            CANCELLED => Some(StopReason::Cancelled),
            SHUTDOWN => Some(StopReason::Shutdown),
            _ => None,
        }
    }

    /// Readable once stopped, for ever.
    pub(in crate::sandbox) fn event(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let control = Control::new().expect("eventfd");
        assert_eq!(control.stopped(), None);
        let other = control.clone();
        other.stop(StopReason::Shutdown);
        control.stop(StopReason::Cancelled);
        assert_eq!(control.stopped(), Some(StopReason::Shutdown));
        assert_eq!(other.stopped(), Some(StopReason::Shutdown));
    }
}
