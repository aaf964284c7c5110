//! Group commit: many threads hand in operations, one of them commits for all.
//!
//! Owns: the order of operations and the single writer. There is no writer thread: the first
//! thread that finds the writer free becomes the leader, applies everything that waits in one
//! batch and wakes the others. An uncontended write therefore costs no hand-over, and under
//! load one fsync serves as many writers as came while the last one ran.
//! Invariant: operations are applied in the order of their submission, each exactly once; a
//! waiting caller returns only after its batch's outcome is known.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::threads::lock;

/// How many operations one batch may hold: bounds the time a leader works for others, and the
/// memory of a transaction.
const MAX_BATCH: usize = 512;

/// How many operations may wait before a submitter without interest in the outcome has to wait
/// for a batch, as the others do.
const MAX_PENDING: usize = 4096;

/// Applies batches; owned by the queue, called by one thread at a time.
pub(crate) trait BatchWriter: Send {
    type Op: Send;
    /// What the submitter learns about its own operation.
    type Outcome: Send;

    /// Applies and commits `ops` as one unit; one outcome for each, in order.
    fn write(&mut self, ops: Vec<Self::Op>) -> Vec<Self::Outcome>;
}

pub(crate) struct GroupCommit<W: BatchWriter> {
    state: Mutex<State<W>>,
    changed: Condvar,
}

struct State<W: BatchWriter> {
    // Absent while a leader uses it.
    writer: Option<W>,
    pending: Vec<(u64, bool, W::Op)>,
    outcomes: HashMap<u64, W::Outcome>,
    next_ticket: u64,
    applied_below: u64,
}

impl<W: BatchWriter> GroupCommit<W> {
    /// Takes ownership of the writer.
    pub(crate) fn new(writer: W) -> Arc<GroupCommit<W>> {
        Arc::new(GroupCommit {
            state: Mutex::new(State {
                writer: Some(writer),
                pending: Vec::new(),
                outcomes: HashMap::new(),
                next_ticket: 0,
                applied_below: 0,
            }),
            changed: Condvar::new(),
        })
    }

    /// Hands in `op` and returns its outcome once its batch is committed.
    pub(crate) fn submit(&self, op: W::Op) -> W::Outcome {
        let mut state = lock(&self.state);
        let ticket = state.push(true, op);
        loop {
            if let Some(outcome) = state.outcomes.remove(&ticket) {
                return outcome;
            }
            state = self.lead_or_wait(state);
        }
    }

    /// Hands in `op` without waiting for its commit: the next batch takes it along, and
    /// [`GroupCommit::flush`] waits for it. Its outcome is dropped, so the writer must log
    /// what fails.
    pub(crate) fn submit_lazily(&self, op: W::Op) {
        let mut state = lock(&self.state);
        state.push(false, op);
        while state.pending.len() > MAX_PENDING {
            state = self.lead_or_wait(state);
        }
    }

    /// Returns once everything handed in before is committed or failed.
    pub(crate) fn flush(&self) {
        let mut state = lock(&self.state);
        let target = state.next_ticket;
        while state.applied_below < target {
            state = self.lead_or_wait(state);
        }
    }

    fn lead_or_wait<'a>(
        &'a self,
        mut state: std::sync::MutexGuard<'a, State<W>>,
    ) -> std::sync::MutexGuard<'a, State<W>> {
        let Some(mut writer) = state.writer.take() else {
            return self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        };
        let size = state.pending.len().min(MAX_BATCH);
        let batch: Vec<_> = state.pending.drain(..size).collect();
        drop(state);

        let mut ops = Vec::with_capacity(batch.len());
        let mut tickets = Vec::with_capacity(batch.len());
        for (ticket, wanted, op) in batch {
            tickets.push((ticket, wanted));
            ops.push(op);
        }
        // A leader that unwound would leave every follower waiting for a writer that is gone.
        let abort_on_unwind = AbortOnUnwind;
        let outcomes = writer.write(ops);
        std::mem::forget(abort_on_unwind);
        assert_eq!(outcomes.len(), tickets.len(), "one outcome an operation");

        let mut state = lock(&self.state);
        state.writer = Some(writer);
        for ((ticket, wanted), outcome) in tickets.into_iter().zip(outcomes) {
            state.applied_below = ticket + 1;
            if wanted {
                state.outcomes.insert(ticket, outcome);
            }
        }
        self.changed.notify_all();
        state
    }
}

struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        log::error!("the batch writer panicked: nothing can be committed any more, aborting");
        std::process::abort();
    }
}

impl<W: BatchWriter> State<W> {
    fn push(&mut self, wanted: bool, op: W::Op) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.pending.push((ticket, wanted, op));
        ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers what it was given, and in how many batches.
    struct Recorder {
        seen: Arc<Mutex<Vec<u32>>>,
        batches: Arc<Mutex<Vec<usize>>>,
        gate: Option<crossbeam_channel::Receiver<()>>,
    }

    impl BatchWriter for Recorder {
        type Op = u32;
        type Outcome = u32;

        fn write(&mut self, ops: Vec<u32>) -> Vec<u32> {
            if let Some(gate) = self.gate.take() {
                let _ = gate.recv();
            }
            lock(&self.batches).push(ops.len());
            lock(&self.seen).extend(&ops);
            ops.into_iter().map(|op| op * 10).collect()
        }
    }

    type Shared<T> = Arc<Mutex<Vec<T>>>;

    fn recorder(
        gate: Option<crossbeam_channel::Receiver<()>>,
    ) -> (Arc<GroupCommit<Recorder>>, Shared<u32>, Shared<usize>) {
        let (seen, batches) = (Shared::default(), Shared::default());
        let queue = GroupCommit::new(Recorder {
            seen: Arc::clone(&seen),
            batches: Arc::clone(&batches),
            gate,
        });
        (queue, seen, batches)
    }

    #[test]
    fn each_submitter_gets_the_outcome_of_its_own_operation() {
        let (queue, seen, _) = recorder(None);
        std::thread::scope(|scope| {
            for op in 0..16 {
                let queue = &queue;
                scope.spawn(move || assert_eq!(queue.submit(op), op * 10));
            }
        });
        let mut seen = lock(&seen).clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..16).collect::<Vec<_>>());
    }

    #[test]
    fn writers_that_come_during_a_commit_share_the_next_one() {
        let (open, gate) = crossbeam_channel::bounded(0);
        let (queue, _, batches) = recorder(Some(gate));
        std::thread::scope(|scope| {
            let leader = scope.spawn(|| queue.submit(0));
            // The leader holds the writer once it is taken out of the state.
            while lock(&queue.state).writer.is_some() {
                std::thread::yield_now();
            }
            let followers: Vec<_> = (1..9)
                .map(|op| {
                    let queue = &queue;
                    scope.spawn(move || queue.submit(op))
                })
                .collect();
            while lock(&queue.state).pending.len() < 8 {
                std::thread::yield_now();
            }
            open.send(()).expect("leader waits at the gate");
            leader.join().expect("leader");
            for follower in followers {
                follower.join().expect("follower");
            }
        });
        assert_eq!(*lock(&batches), [1, 8]);
    }

    #[test]
    fn a_lazy_operation_is_applied_by_the_next_batch_in_its_order() {
        let (queue, seen, batches) = recorder(None);
        queue.submit_lazily(1);
        assert!(lock(&seen).is_empty());
        queue.submit(2);
        queue.submit_lazily(3);
        queue.flush();
        assert_eq!(*lock(&seen), [1, 2, 3]);
        assert_eq!(*lock(&batches), [2, 1]);
        assert!(lock(&queue.state).outcomes.is_empty(), "nothing is kept");
    }

    #[test]
    fn lazy_operations_are_bounded() {
        let (queue, seen, _) = recorder(None);
        for op in 0..(MAX_PENDING as u32 + 10) {
            queue.submit_lazily(op);
        }
        assert!(lock(&queue.state).pending.len() <= MAX_PENDING);
        queue.flush();
        assert_eq!(lock(&seen).len(), MAX_PENDING + 10);
    }
}
