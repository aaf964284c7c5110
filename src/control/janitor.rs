//! Removes from the store what has expired: routes, idempotency keys, tokens, archives that no
//! version needs.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::threads::{Joined, Supervisor};
use crate::store::Store;

/// How often it looks; what it removes is only a matter of space.
const JANITOR_INTERVAL: Duration = Duration::from_secs(60);
/// An archive that nothing refers to is kept this long: its version is being stored right now,
/// or somebody is still reading it.
const ARCHIVE_GRACE: Duration = Duration::from_secs(600);

/// Works until shutdown.
pub struct Janitor {
    _thread: Joined,
}

impl Janitor {
    /// Starts with a first round at once.
    ///
    /// # Errors
    /// The system's when it gives no thread.
    pub fn start(store: Arc<dyn Store>, supervisor: &Supervisor) -> std::io::Result<Janitor> {
        let shutdown = supervisor.shutdown();
        let thread = supervisor.spawn("janitor", move || {
            loop {
                clean(&*store);
                if shutdown.wait_timeout(JANITOR_INTERVAL) {
                    return;
                }
            }
        })?;
        Ok(Janitor { _thread: thread })
    }
}

fn clean(store: &dyn Store) {
    let now = Timestamp::now();
    let report = |what: &str, result: Result<usize, crate::store::StoreError>| match result {
        Ok(0) => {}
        Ok(count) => log::debug!("removed {count} expired {what}"),
        // What stays is tried again in the next round.
        Err(error) => log::warn!("expired {what} were not removed: {error}"),
    };
    report("routes", store.expire_routes(now));
    report("idempotency keys", store.expire_idempotent(now));
    report("archives", store.collect_archives(now.before(ARCHIVE_GRACE)));
}
