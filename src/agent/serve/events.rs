//! Signals of ends: who follows is told of every execution that ends here and that nobody waits for.
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

/// Which execution ended, and what it ran.
pub(crate) type Ended = (ExecutionId, FunctionName);

#[derive(Debug, Default)]
pub(crate) struct Events {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    subscribers: HashMap<u64, Sender<Ended>>,
    next_subscriber: u64,
}

/// A place among the subscribers, free again when dropped.
#[derive(Debug)]
pub(crate) struct Subscription<'a> {
    events: &'a Events,
    number: u64,
    ends: Receiver<Ended>,
}

impl Subscription<'_> {
    /// The ends that nobody waits for; disconnected once it was too slow, or the agent ends.
    pub(crate) fn ends(&self) -> &Receiver<Ended> {
        &self.ends
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        lock(&self.events.state).subscribers.remove(&self.number);
    }
}

impl Events {
    /// Follows the ends from now on that nobody waits for. `None` when there are `MAX_SUBSCRIBERS`.
    pub(crate) fn subscribe(&self) -> Option<Subscription<'_>> {
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
            ends,
        })
    }

    /// Tells those who follow of an end that nobody waits for.
    pub(crate) fn ended(&self, record: &ExecutionRecord) {
        let mut state = lock(&self.state);
        let event = (record.id.clone(), record.function.clone());
        // Full: the channel ends for it.
        state
            .subscribers
            .retain(|_, subscriber| subscriber.try_send(event.clone()).is_ok());
    }

    /// Ends all subscriptions.
    pub(crate) fn close(&self) {
        lock(&self.state).subscribers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::model::ids::AgentId;

    fn record() -> ExecutionRecord {
        ExecutionRecord::accepted(
            ExecutionId::generate(),
            AgentId::new("a").expect("id"),
            FunctionName::new("f").expect("name"),
            1,
            Timestamp::from_millis(1),
        )
    }

    #[test]
    fn a_subscriber_that_left_gives_up_its_place_though_nothing_ends() {
        let events = Events::default();
        for _ in 0..3 * MAX_SUBSCRIBERS {
            assert!(events.subscribe().is_some());
        }
        let all: Vec<_> = (0..MAX_SUBSCRIBERS)
            .map(|_| events.subscribe().expect("room"))
            .collect();
        assert!(events.subscribe().is_none());
        drop(all);
        assert!(events.subscribe().is_some());
    }

    #[test]
    fn ends_come_in_order_from_the_subscription_on() {
        let events = Events::default();
        events.ended(&record());
        let subscription = events.subscribe().expect("room");
        let records = [record(), record()];
        records.iter().for_each(|record| events.ended(record));
        for record in &records {
            let (execution, _) = subscription.ends().try_recv().expect("told");
            assert_eq!(execution, record.id);
        }
        assert!(subscription.ends().try_recv().is_err());
    }

    #[test]
    fn a_subscriber_that_does_not_keep_up_is_cut_off_after_what_it_could_take() {
        let events = Events::default();
        let slow = events.subscribe().expect("room");
        let record = record();
        for _ in 0..=MAX_LAG {
            events.ended(&record);
        }
        assert_eq!(slow.ends().iter().count(), MAX_LAG, "then it ends");
        events.close();
        let late = events.subscribe().expect("room");
        events.close();
        assert!(late.ends().recv().is_err());
    }
}
