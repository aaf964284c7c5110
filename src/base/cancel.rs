//! A one-way switch between threads: pulled once, seen by every waiter at once.
//!
//! Owns: the wake-up of whoever waits for a shutdown, a cancelled request or a client that left.
//! Invariant: what is pulled never becomes unpulled, and no waiter sleeps past the pull.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

/// The side that pulls. Dropping the last clone without a call to [`Trigger::pull`] pulls too:
/// a waiter must not outlive whoever could have woken it.
#[derive(Debug, Clone)]
pub struct Trigger {
    // Taken and dropped by the first pull; the channel's disconnection is the signal, because
    // unlike a message every receiver sees it, for ever.
    sender: Arc<std::sync::Mutex<Option<Sender<Infallible>>>>,
    cancel: Cancel,
}

/// The side that waits. Cheap to clone; usable in `crossbeam_channel::select!` through
/// [`Cancel::receiver`].
#[derive(Debug, Clone)]
pub struct Cancel {
    receiver: Receiver<Infallible>,
}

/// A fresh, unpulled pair.
pub fn pair() -> (Trigger, Cancel) {
    let (sender, receiver) = bounded(0);
    let cancel = Cancel { receiver };
    let trigger = Trigger {
        sender: Arc::new(std::sync::Mutex::new(Some(sender))),
        cancel: cancel.clone(),
    };
    (trigger, cancel)
}

impl Trigger {
    /// Wakes every waiter, now and later. A second pull does nothing.
    pub fn pull(&self) {
        let sender = self
            .sender
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        drop(sender);
    }

    /// A waiter for this trigger.
    pub(crate) fn waiter(&self) -> Cancel {
        self.cancel.clone()
    }
}

impl Cancel {
    /// One that nobody ever pulls, for callers that cannot be cancelled.
    pub fn never() -> Cancel {
        Cancel {
            receiver: crossbeam_channel::never(),
        }
    }

    /// Whether the trigger has been pulled.
    pub fn is_pulled(&self) -> bool {
        matches!(self.receiver.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Waits until the pull or for `timeout`; says whether it was pulled.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        matches!(
            self.receiver.recv_timeout(timeout),
            Err(RecvTimeoutError::Disconnected)
        )
    }

    /// Waits until the pull.
    pub fn wait(&self) {
        // Infallible: the only way out of recv is the disconnection.
        let _ = self.receiver.recv();
    }

    /// For `select!`: becomes ready, with an error, once pulled.
    pub fn receiver(&self) -> &Receiver<Infallible> {
        &self.receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::threads::Supervisor;

    #[test]
    fn a_pull_wakes_every_waiter_and_stays() {
        let (trigger, cancel) = pair();
        assert!(!cancel.is_pulled());
        assert!(!cancel.wait_timeout(Duration::from_millis(1)));
        let supervisor = Supervisor::new();
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let cancel = cancel.clone();
                supervisor
                    .spawn("waiter", move || cancel.wait())
                    .expect("thread")
            })
            .collect();
        trigger.pull();
        trigger.pull();
        for waiter in waiters {
            waiter.join();
        }
        assert!(cancel.is_pulled() && trigger.waiter().is_pulled());
    }

    #[test]
    fn a_dropped_trigger_counts_as_pulled() {
        let (trigger, cancel) = pair();
        let clone = trigger.clone();
        drop(trigger);
        assert!(!cancel.is_pulled());
        drop(clone);
        assert!(cancel.is_pulled());
    }

    #[test]
    fn never_is_never_pulled() {
        assert!(!Cancel::never().is_pulled());
        assert!(!Cancel::never().wait_timeout(Duration::from_millis(1)));
    }
}
