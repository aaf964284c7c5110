//! Blocking on a future together with a cancel and a deadline.
//!
//! The future's waker sends into a channel, which `select!` waits for beside the cancel: no
//! thread and no executor is needed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use crossbeam_channel::{Sender, at, bounded, never, select};

use crate::base::cancel::Cancel;

/// Why the wait ended.
pub(super) enum Waited<T> {
    Done(T),
    Cancelled,
    TimedOut,
}

struct Signal(Sender<()>);

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        // Full means that a wake-up is on its way already.
        let _ = self.0.try_send(());
    }
}

/// Waits until `poll` is ready, `cancel` is pulled or `deadline` passes.
pub(super) fn wait_for<T>(
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    cancel: &Cancel,
    deadline: Option<Instant>,
) -> Waited<T> {
    let (sender, woken) = bounded(1);
    let waker = Waker::from(Arc::new(Signal(sender)));
    let mut context = Context::from_waker(&waker);
    let timer = deadline.map_or_else(never, at);
    loop {
        if let Poll::Ready(value) = poll(&mut context) {
            return Waited::Done(value);
        }
        select! {
            recv(woken) -> _ => {}
            recv(cancel.receiver()) -> _ => return Waited::Cancelled,
            recv(timer) -> _ => return Waited::TimedOut,
        }
    }
}

/// Waits for `future` until `deadline`.
pub(super) fn wait_until<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    let mut future: Pin<Box<F>> = Box::pin(future);
    let poll = |context: &mut Context<'_>| future.as_mut().poll(context);
    match wait_for(poll, &Cancel::never(), Some(deadline)) {
        Waited::Done(value) => Some(value),
        Waited::Cancelled | Waited::TimedOut => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::pair;
    use crate::base::threads::Supervisor;
    use std::time::Duration;

    #[test]
    fn a_wait_ends_by_the_future_the_token_or_the_deadline() {
        assert_eq!(wait_until(async { 7 }, Instant::now()), Some(7));
        let soon = Instant::now() + Duration::from_millis(10);
        assert_eq!(wait_until(std::future::pending::<()>(), soon), None);
        let (trigger, cancel) = pair();
        let supervisor = Supervisor::new();
        let puller = supervisor.spawn("puller", move || trigger.pull());
        let waited = wait_for(|_| Poll::<()>::Pending, &cancel, None);
        assert!(matches!(waited, Waited::Cancelled));
        drop(puller);
    }

    #[test]
    fn a_wake_up_from_another_thread_is_seen() {
        let supervisor = Supervisor::new();
        let (sender, receiver) = bounded::<Waker>(1);
        let waking = supervisor.spawn("waker", move || receiver.recv().expect("waker").wake());
        let mut polls = 0;
        let poll = |context: &mut Context<'_>| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            sender.send(context.waker().clone()).expect("send");
            Poll::Pending
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        let waited = wait_for(poll, &Cancel::never(), Some(deadline));
        assert!(matches!(waited, Waited::Done(())));
        drop(waking);
    }
}
