//! Executions on their way to the database: visible before they are written.
//!
//! A reader looks here first and in the database after. An entry leaves when its write has settled,
//! and the database shows it from then on, so there is no moment in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::base::threads::lock;
use crate::model::ends::{Ended, EndedOutput};
use crate::model::ids::ExecutionId;

/// Bytes of output that may wait before whoever adds to them waits for their write: that of a few hundred
/// executions, each as long as may come along with its end.
pub(super) const MAX_WAITING_BYTES: usize = 16 << 20;

/// Bounded by the operations that may wait for a commit (`base::group_commit`), by their bytes, and
/// by how often they are flushed.
#[derive(Default)]
pub(super) struct LazyRecords {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    shown: HashMap<ExecutionId, Arc<Ended>>,
    /// Of all whose writes have not settled, also of those that are not shown.
    output_bytes: usize,
}

impl LazyRecords {
    /// Shows it, unless another record of the same execution waits already: the first one stays. Says
    /// whether too much waits now, and is to be written.
    pub(crate) fn show(&self, ended: &Arc<Ended>) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.output_bytes += output_bytes(ended);
        waiting
            .shown
            .entry(ended.record.id.clone())
            .or_insert_with(|| Arc::clone(ended));
        waiting.output_bytes > MAX_WAITING_BYTES
    }

    /// What waits for its write.
    pub(crate) fn get(&self, id: &ExecutionId) -> Option<Arc<Ended>> {
        lock(&self.waiting).shown.get(id).cloned()
    }

    /// The write has settled.
    pub(crate) fn settle(&self, ended: &Arc<Ended>) {
        let mut waiting = lock(&self.waiting);
        waiting.output_bytes -= output_bytes(ended);
        let id = &ended.record.id;
        let held = waiting.shown.get(id);
        if held.is_some_and(|held| Arc::ptr_eq(held, ended)) {
            waiting.shown.remove(id);
        }
    }

    #[cfg(test)]
    pub(crate) fn output_bytes(&self) -> usize {
        lock(&self.waiting).output_bytes
    }
}

fn output_bytes(ended: &Ended) -> usize {
    match &ended.output {
        EndedOutput::Whole(output) | EndedOutput::Cut(output) => output.bytes.len(),
        EndedOutput::AtAgent => 0,
    }
}
