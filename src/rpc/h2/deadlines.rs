//! When which stream's time is over.
//!
//! Invariant: it holds one entry for each stream with a deadline that is not over, so that calls with long
//! deadlines that end soon cost nothing later.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::session::StreamId;

/// By when the calls of one connection have to be over.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    ordered: BTreeSet<(Instant, StreamId)>,
    of: HashMap<StreamId, Instant>,
}

impl Deadlines {
    /// A stream has none before.
    pub(super) fn set(&mut self, stream: StreamId, deadline: Instant) {
        self.ordered.insert((deadline, stream));
        self.of.insert(stream, deadline);
    }

    /// The stream is over.
    pub(super) fn forget(&mut self, stream: StreamId) {
        if let Some(deadline) = self.of.remove(&stream) {
            self.ordered.remove(&(deadline, stream));
        }
    }

    pub(super) fn clear(&mut self) {
        self.ordered.clear();
        self.of.clear();
    }

    /// The first stream whose time is over by `now`; it is forgotten.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<StreamId> {
        let &(deadline, stream) = self.ordered.first()?;
        if deadline > now {
            return None;
        }
        self.forget(stream);
        Some(stream)
    }

    /// When the next one's is.
    pub(super) fn next(&self) -> Option<Instant> {
        self.ordered.first().map(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn streams_come_due_in_their_order_and_those_that_are_over_leave_nothing() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        for (stream, seconds) in [(1, 30), (3, 10), (5, 20), (7, 10)] {
            deadlines.set(stream, at(seconds));
        }
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.take_due(at(9)), None);
        deadlines.forget(7);
        assert_eq!(deadlines.take_due(at(25)), Some(3));
        assert_eq!(deadlines.take_due(at(25)), Some(5));
        assert_eq!(deadlines.take_due(at(25)), None);
        deadlines.forget(1);
        deadlines.forget(1);
        assert_eq!(deadlines.next(), None);
        assert!(deadlines.ordered.is_empty() && deadlines.of.is_empty());
    }
}
