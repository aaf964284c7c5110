//! Removes from the store what has expired: routes, idempotency keys, tokens, archives that no
//! version needs.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::{Clock, Timestamp};
use crate::base::threads::{Lasting, Supervisor};
use crate::store::Store;

/// How often it looks; what it removes is only a matter of space.
const CLEANING_INTERVAL: Duration = Duration::from_secs(60);
/// How long the route of an ended execution may be in memory only. The agents can be asked for
/// what a crash takes of them.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// An archive that nothing refers to is kept this long: its version is being stored right now,
/// or somebody is still reading it.
const ARCHIVE_GRACE: Duration = Duration::from_secs(600);

/// Works until shutdown.
pub struct Janitor {
    _thread: Lasting,
}

impl Janitor {
    /// Starts with a first round at once.
    ///
    /// # Errors
    /// The system's when it gives no thread.
    pub fn start(
        store: Arc<dyn Store>,
        clock: Clock,
        supervisor: &Supervisor,
    ) -> std::io::Result<Janitor> {
        let shutdown = supervisor.shutdown();
        let thread = supervisor.spawn_lasting("janitor", move || {
            let mut next_cleaning = clock.moment();
            loop {
                if clock.moment() >= next_cleaning {
                    clean(&*store, clock.now());
                    next_cleaning = clock.moment() + CLEANING_INTERVAL;
                }
                let ends = clock.wait(&shutdown, FLUSH_INTERVAL);
                // Routes of ended executions are handed to the store without waiting for it.
                if let Err(error) = store.flush() {
                    log::warn!("routes of ended executions were not stored: {error}");
                }
                if ends {
                    return;
                }
            }
        })?;
        Ok(Janitor { _thread: thread })
    }
}

fn clean(store: &dyn Store, now: Timestamp) {
    let report = |what: &str, result: Result<usize, crate::store::StoreError>| match result {
        Ok(0) => {}
        Ok(count) => log::debug!("removed {count} expired {what}"),
        // What stays is tried again in the next round.
        Err(error) => log::warn!("expired {what} were not removed: {error}"),
    };
    report("routes", store.expire_routes(now));
    report("idempotency keys", store.expire_idempotent(now));
    report(
        "archives",
        store.collect_archives(now.before(ARCHIVE_GRACE)),
    );
}
