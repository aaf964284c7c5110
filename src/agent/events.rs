//! The feed of ends: who follows it is told of every execution that ends here, in order.
//!
//! A subscriber that does not keep up is cut off rather than waited for; it comes back, and
//! begins with what runs then.

use std::collections::HashMap;
use std::sync::Mutex;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::base::threads::lock;
use crate::model::execution::ExecutionRecord;
use crate::model::ids::{ExecutionId, FunctionName};

/// Ends that a subscriber may lag behind; a few seconds of a busy agent.
const MAX_LAG: usize = 4096;
/// Control planes that follow at once.
const MAX_SUBSCRIBERS: usize = 16;

/// An execution that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Counts the ends since the agent started.
    pub sequence: u64,
    /// Which.
    pub execution: ExecutionId,
    /// What ran.
    pub function: FunctionName,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Events {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sequence: u64,
    subscribers: HashMap<u64, Sender<Ended>>,
    next_subscriber: u64,
}

/// A place among the subscribers, free again when dropped.
#[derive(Debug)]
pub struct Subscription<'a> {
    events: &'a Events,
    number: u64,
    after: u64,
    ends: Receiver<Ended>,
}

impl Subscription<'_> {
    /// The sequence number of the last end before the first that this one is told of.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Everything that ends; disconnected once it was too slow, or the agent ends.
    pub fn ends(&self) -> &Receiver<Ended> {
        &self.ends
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        lock(&self.events.state).subscribers.remove(&self.number);
    }
}

impl Events {
    /// Everything that ends from now on. `None` when there are [`MAX_SUBSCRIBERS`].
    pub fn subscribe(&self) -> Option<Subscription<'_>> {
        let mut state = lock(&self.state);
        if state.subscribers.len() >= MAX_SUBSCRIBERS {
            return None;
        }
        let (sender, ends) = bounded(MAX_LAG);
        let number = state.next_subscriber;
        state.next_subscriber += 1;
        state.subscribers.insert(number, sender);
        Some(Subscription {
            events: self,
            number,
            after: state.sequence,
            ends,
        })
    }

    /// Tells everybody.
    pub fn ended(&self, record: &ExecutionRecord) {
        let mut state = lock(&self.state);
        state.sequence += 1;
        let event = Ended {
            sequence: state.sequence,
            execution: record.id.clone(),
            function: record.function.clone(),
        };
        // Full: the channel ends for it.
        state
            .subscribers
            .retain(|_, subscriber| subscriber.try_send(event.clone()).is_ok());
    }

    /// Ends all subscriptions.
    pub fn close(&self) {
        lock(&self.state).subscribers.clear();
    }
}
