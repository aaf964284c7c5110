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

/// Between two cleanings at the most. What outgrows its room does not wait for them.
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
    /// Of records, since that was said last.
    forgotten: Forgotten,
    /// Whether the store, and the history, did not store what nobody waits for when they were asked last.
    fails: [bool; 2],
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
            forgotten: Forgotten::default(),
            fails: [false; 2],
        }
    }

    /// Does what is to be done now, as far as it takes a short while. Whether there is more of it.
    pub(crate) fn tick(&mut self, clock: &Clock) -> bool {
        self.flush();
        let (moment, now) = (clock.moment(), clock.now());
        let is_due = self.next_cleaning.is_none_or(|next| moment >= next);
        if is_due {
            self.next_cleaning = Some(moment + self.cleaning_interval());
            // The records after the keys that stand for them.
            report("idempotency keys", self.store.expire_idempotent(now));
            let unused = self.store.collect_archives(now.before(ARCHIVE_GRACE));
            report("archives", unused);
        }
        if is_due || self.forgotten.is_unfinished || self.is_full() {
            self.forget(now);
        }
        if is_due {
            self.report_forgotten();
        }
        let shrunk = self.history.shrink(self.retention.total.bytes());
        report("unused pages", shrunk.map(|()| 0));
        self.forgotten.is_unfinished
    }

    /// A short retention is kept to more closely.
    fn cleaning_interval(&self) -> Duration {
        let shortest = self.retention.success.min(self.retention.failure);
        shortest.clamp(FLUSH_INTERVAL, CLEANING_INTERVAL)
    }

    /// Hands over to the system what is written without anybody waiting for it.
    fn flush(&mut self) {
        let flushed = [self.store.flush(), self.history.flush()];
        for (flushed, fails) in flushed.into_iter().zip(&mut self.fails) {
            let failed = std::mem::replace(fails, flushed.is_err());
            match flushed {
                Err(error) if !failed => log::warn!(
                    "what nobody waits for is not stored: {}",
                    with_causes(&error)
                ),
                Ok(()) if failed => log::info!("what nobody waits for is stored again"),
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// What cannot be measured is left to the next cleaning.
    fn is_full(&self) -> bool {
        let used = self.history.used_bytes();
        used.is_ok_and(|used| used > self.retention.total.bytes())
    }

    /// One round of it.
    fn forget(&mut self, now: Timestamp) {
        match retention::forget(&*self.history, &*self.store, &self.retention, now) {
            Ok(round) => self.forgotten = self.forgotten.and(round),
            Err(error) => {
                report("records", Err(error));
                self.forgotten.is_unfinished = false;
            }
        }
    }

    /// Not with each round: a full history stays full, and makes room with every tick.
    fn report_forgotten(&mut self) {
        let forgotten = self.forgotten;
        self.forgotten = Forgotten {
            is_unfinished: forgotten.is_unfinished,
            ..Forgotten::default()
        };
        report("records whose time was over", Ok(forgotten.by_age));
        if forgotten.has_made_room() {
            log::warn!(
                "the history is full: {} outputs and {} records made room before their time",
                forgotten.outputs_for_room,
                forgotten.records_for_room
            );
        }
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
