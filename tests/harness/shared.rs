//! One fleet for many tests, where they do not get into each other's way.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Fleet, FleetOptions};

/// Started for the first test that asks, and ended with the last one that holds it: a plain
/// static would leave its daemons behind, because nothing drops it.
pub struct Shared(Mutex<Weak<Fleet>>);

impl Shared {
    pub const fn new() -> Shared {
        Shared(Mutex::new(Weak::new()))
    }

    #[track_caller]
    pub fn get(&self, options: impl FnOnce() -> FleetOptions) -> Arc<Fleet> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fleet) = shared.upgrade() {
            return fleet;
        }
        let fleet = Arc::new(Fleet::with(&options()));
        *shared = Arc::downgrade(&fleet);
        fleet
    }
}
