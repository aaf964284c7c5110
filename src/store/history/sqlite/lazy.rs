//! Executions on their way to the database: visible before they are written.
//!
//! A reader looks here first and in the database after. An entry leaves when its write has settled,
//! and the database shows it from then on, so there is no moment in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::base::threads::lock;
use crate::model::ends::Ended;
use crate::model::ids::ExecutionId;

/// Bounded by the operations that may wait for a commit (`base::group_commit`), and by how often
/// they are flushed.
#[derive(Default)]
pub(super) struct LazyRecords {
    waiting: Mutex<HashMap<ExecutionId, Arc<Ended>>>,
}

impl LazyRecords {
    /// Shows it, unless another record of the same execution waits already: the first one stays.
    pub(crate) fn show(&self, ended: &Arc<Ended>) {
        lock(&self.waiting)
            .entry(ended.record.id.clone())
            .or_insert_with(|| Arc::clone(ended));
    }

    /// What waits for its write.
    pub(crate) fn get(&self, id: &ExecutionId) -> Option<Arc<Ended>> {
        lock(&self.waiting).get(id).cloned()
    }

    /// The write has settled.
    pub(crate) fn settle(&self, ended: &Arc<Ended>) {
        let mut waiting = lock(&self.waiting);
        let id = &ended.record.id;
        if waiting.get(id).is_some_and(|held| Arc::ptr_eq(held, ended)) {
            waiting.remove(id);
        }
    }
}
