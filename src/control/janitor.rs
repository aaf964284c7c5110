//! Removes what has been kept long enough: records and output, idempotency keys, archives that no version
//! needs. Enrolment tokens that are over are none of its work: they go when the next one is stored.

use std::sync::Arc;
use std::time::Duration;

use super::retention::{self, Forgotten};
use crate::base::causes::with_causes;
use crate::base::clock::{Clock, Moment, Timestamp};
use crate::base::threads::{Lasting, Supervisor};
use crate::config::server::Retention;
use crate::store::history::HistoryStore;
use crate::store::{Store, StoreError};

/// Between two cleanings at the most; what they remove is only a matter of space.
const CLEANING_INTERVAL: Duration = Duration::from_secs(60);
/// How long what nobody waits for may be in memory only. The agents can be asked for what a crash takes
/// of it.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// An archive that nothing refers to is kept this long: its version is being stored right now,
/// or somebody is still reading it.
const ARCHIVE_GRACE: Duration = Duration::from_secs(600);

/// Works until it is dropped.
pub(crate) struct Janitor {
    _thread: Lasting,
}

/// What it does at a time.
pub(crate) struct Chores {
    store: Arc<dyn Store>,
    history: Arc<dyn HistoryStore>,
    retention: Retention,
    next_cleaning: Option<Moment>,
    /// What the cleaning that is under way has forgotten so far.
    forgotten: Option<Forgotten>,
}

impl Janitor {
    /// Starts with a first round at once.
    ///
    /// # Errors
    /// The system's when it gives no thread.
    pub(crate) fn start(
        mut chores: Chores,
        clock: Clock,
        supervisor: &Supervisor,
    ) -> std::io::Result<Janitor> {
        let shutdown = supervisor.shutdown();
        let thread = supervisor.spawn_lasting("janitor", move || {
            loop {
                let pause = if chores.tick(&clock) {
                    Duration::ZERO
                } else {
                    FLUSH_INTERVAL
                };
                if clock.wait(&shutdown, pause) {
                    return chores.flush();
                }
            }
        })?;
        Ok(Janitor { _thread: thread })
    }
}

impl Chores {
    /// Nothing is done before the first tick.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        history: Arc<dyn HistoryStore>,
        retention: Retention,
    ) -> Chores {
        Chores {
            store,
            history,
            retention,
            next_cleaning: None,
            forgotten: None,
        }
    }

    /// Does what is to be done now, as far as it takes a short while. Whether there is more of it.
    pub(crate) fn tick(&mut self, clock: &Clock) -> bool {
        self.flush();
        let now = clock.moment();
        if self.next_cleaning.is_some_and(|next| now < next) {
            return false;
        }
        let is_unfinished = self.clean(clock.now());
        let pause = if is_unfinished {
            Duration::ZERO
        } else {
            self.cleaning_interval()
        };
        self.next_cleaning = Some(now + pause);
        is_unfinished
    }

    /// A short retention is kept to more closely.
    fn cleaning_interval(&self) -> Duration {
        let shortest = self.retention.success.min(self.retention.failure);
        shortest.clamp(FLUSH_INTERVAL, CLEANING_INTERVAL)
    }

    /// Hands over to the system what is written without anybody waiting for it.
    fn flush(&self) {
        for flushed in [self.store.flush(), self.history.flush()] {
            if let Err(error) = flushed {
                log::warn!(
                    "what nobody waits for was not stored: {}",
                    with_causes(&error)
                );
            }
        }
    }

    /// One round of a cleaning. Whether it takes more of them.
    fn clean(&mut self, now: Timestamp) -> bool {
        let so_far = self.forgotten.take().unwrap_or_else(|| {
            // The records after the keys that stand for them.
            report("idempotency keys", self.store.expire_idempotent(now));
            report(
                "archives",
                self.store.collect_archives(now.before(ARCHIVE_GRACE)),
            );
            Forgotten::default()
        });
        let round = match retention::forget(&*self.history, &*self.store, &self.retention, now) {
            Ok(round) => round,
            Err(error) => {
                report("records", Err(error));
                Forgotten::default()
            }
        };
        let forgotten = so_far.and(round);
        if forgotten.is_unfinished {
            self.forgotten = Some(forgotten);
            return true;
        }
        report("records whose time was over", Ok(forgotten.by_age));
        if forgotten.outputs_for_room + forgotten.records_for_room > 0 {
            log::warn!(
                "the history is full: {} outputs and {} records made room before their time",
                forgotten.outputs_for_room,
                forgotten.records_for_room
            );
        }
        false
    }
}

fn report(what: &str, removed: Result<usize, StoreError>) {
    match removed {
        Ok(0) => {}
        Ok(count) => log::debug!("removed {count} {what}"),
        // What stays is tried again in the next cleaning.
        Err(error) => log::warn!("{what} were not removed: {}", with_causes(&error)),
    }
}
