//! Wakes who waits for changes that this process makes: the embedded store has no other writers.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crossbeam_channel::{Sender, after, bounded, select};

use crate::base::cancel::Cancel;
use crate::base::threads::lock;
use crate::store::values::Revision;

#[derive(Default)]
pub(super) struct News {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<Revision>,
    waiting: HashMap<u64, Sender<()>>,
    next_waiter: u64,
}

impl News {
    /// Something was written, and everybody can read it.
    pub(crate) fn tell(&self, revision: Revision) {
        let mut state = lock(&self.state);
        if state.last.is_some_and(|last| last >= revision) {
            return;
        }
        state.last = Some(revision);
        for waiter in state.waiting.values() {
            // Full: it has been woken already.
            let _ = waiter.try_send(());
        }
    }

    /// Until something was written after `since`, the pull, or the end of `at_most`.
    pub(crate) fn wait(&self, since: Revision, cancel: &Cancel, at_most: Duration) {
        let (sender, woken) = bounded(1);
        let number = {
            let mut state = lock(&self.state);
            if state.last.is_some_and(|last| last > since) {
                return;
            }
            let number = state.next_waiter;
            state.next_waiter += 1;
            state.waiting.insert(number, sender);
            number
        };
        select! {
            recv(woken) -> _ => {}
            recv(cancel.receiver()) -> _ => {}
            recv(after(at_most)) -> _ => {}
        }
        lock(&self.state).waiting.remove(&number);
    }
}
