//! The executions that run here now.
//!
//! Invariant: an execution is in this table from its admission until its final record is
//! written, and its end is seen here only after that: whoever waits for the end may answer for it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::agent::output::OutputLog;
use crate::base::cancel::{Cancel, Trigger, pair};
use crate::base::clock::{Clock, Moment};
use crate::base::threads::lock;
use crate::model::execution::{ExecutionRecord, Status};
use crate::model::ids::{ExecutionId, FunctionName};
use crate::sandbox::{Control, StopReason};

#[derive(Debug)]
pub(crate) struct Live {
    accepted: ExecutionRecord,
    clock: Clock,
    since: Moment,
    control: Control,
    output: OutputLog,
    ended: Trigger,
    last: OnceLock<Last>,
}

/// How one ended.
#[derive(Debug, Clone)]
pub(crate) struct Last {
    /// Final, and on disk.
    pub record: ExecutionRecord,
    /// Whether no process of it is alive; if not, that could not be said.
    pub tree_confirmed_dead: bool,
}

impl Live {
    /// Accepted, as `accepted` says.
    pub(crate) fn new(
        accepted: ExecutionRecord,
        clock: Clock,
        control: Control,
        output: OutputLog,
    ) -> Live {
        let (ended, _) = pair();
        Live {
            accepted,
            since: clock.moment(),
            clock,
            control,
            output,
            ended,
            last: OnceLock::new(),
        }
    }

    /// The record as it stands.
    pub(crate) fn record(&self) -> ExecutionRecord {
        if let Some(last) = self.last.get() {
            return last.record.clone();
        }
        let totals = self.output.totals();
        ExecutionRecord {
            duration: self.elapsed(),
            stdout_bytes: totals.stdout_bytes,
            stderr_bytes: totals.stderr_bytes,
            truncated: totals.truncated,
            ..self.accepted.clone()
        }
    }

    /// As it was accepted.
    pub(crate) fn accepted(&self) -> &ExecutionRecord {
        &self.accepted
    }

    /// Where its output goes.
    pub(crate) fn output(&self) -> &OutputLog {
        &self.output
    }

    /// How it is told to stop.
    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// How long it has been here.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.moment().since(self.since)
    }

    /// Pulled once its final record is written.
    pub(crate) fn ended(&self) -> Cancel {
        self.ended.waiter()
    }

    /// Its end, once it is known.
    pub(crate) fn last(&self) -> Option<&Last> {
        self.last.get()
    }
}

#[derive(Debug, Default)]
pub(crate) struct LiveTable {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: HashMap<ExecutionId, Arc<Live>>,
    /// Ids under which nothing may begin now.
    held: HashSet<ExecutionId>,
}

/// Keeps an execution from beginning until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    table: &'a LiveTable,
    id: ExecutionId,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        lock(&self.table.state).held.remove(&self.id);
        self.table.released.notify_all();
    }
}

impl LiveTable {
    /// Adds one, unless its id is taken or held.
    pub(crate) fn insert(&self, live: Live) -> Option<Arc<Live>> {
        let id = live.accepted.id.clone();
        let live = Arc::new(live);
        let mut state = lock(&self.state);
        if state.running.contains_key(&id) || state.held.contains(&id) {
            return None;
        }
        state.running.insert(id, Arc::clone(&live));
        Some(live)
    }

    /// Keeps one that does not run from beginning; `None` when it runs. Waits while somebody else
    /// holds it, which is for a moment.
    pub(crate) fn hold(&self, id: &ExecutionId) -> Option<Hold<'_>> {
        let mut state = lock(&self.state);
        while state.held.contains(id) {
            state = self
                .released
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.running.contains_key(id) {
            return None;
        }
        state.held.insert(id.clone());
        Some(Hold {
            table: self,
            id: id.clone(),
        })
    }

    pub(crate) fn get(&self, id: &ExecutionId) -> Option<Arc<Live>> {
        lock(&self.state).running.get(id).cloned()
    }

    /// Removes one that never ran. Whoever found it meanwhile waits for nothing more.
    pub(crate) fn withdraw(&self, live: &Live) {
        live.output.finish();
        lock(&self.state).running.remove(&live.accepted.id);
        live.ended.pull();
    }

    /// Makes the end of one known, and forgets it: its record and output are on disk.
    pub(crate) fn finish(&self, live: &Live, last: Last) {
        // Set once: the execution's own thread is the only one to call this.
        let _ = live.last.set(last);
        lock(&self.state).running.remove(&live.accepted.id);
        live.ended.pull();
    }

    /// Ids and functions of all.
    pub(crate) fn running(&self) -> Vec<(ExecutionId, FunctionName)> {
        lock(&self.state)
            .running
            .values()
            .map(|live| (live.accepted.id.clone(), live.accepted.function.clone()))
            .collect()
    }

    /// Records of all that fit, newest first.
    pub(crate) fn list(
        &self,
        function: Option<&FunctionName>,
        before: Option<&ExecutionId>,
    ) -> Vec<ExecutionRecord> {
        let mut records: Vec<_> = lock(&self.state)
            .running
            .values()
            .filter(|live| function.is_none_or(|function| live.accepted.function == *function))
            .filter(|live| before.is_none_or(|before| live.accepted.id < *before))
            .map(|live| live.record())
            .filter(|record| record.status() == Status::Running)
            .collect();
        records.sort_by(|a, b| b.id.cmp(&a.id));
        records
    }

    /// Tells all to stop.
    pub(crate) fn stop_all(&self, reason: StopReason) {
        for live in lock(&self.state).running.values() {
            live.control.stop(reason);
        }
    }
}
