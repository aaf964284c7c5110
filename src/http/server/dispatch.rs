//! From the poller to the workers: a queue of readable connections, each for a short time only.
//!
//! The queue is here and not in the pool, because what waits too long must be found and told,
//! and because the pool would start a thread for each of 500 clients that send a byte at once.
//! A step without a handler does not wait, so a few threads take as many as there are.
//! Invariant: while the queue is not empty, either every worker is active, or one that is active
//! runs no handler and comes for the next.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::connection::Held;
use super::serve::serve;
use super::shared::Shared;
use crate::base::pool::{Pool, PoolLimits};
use crate::base::threads::{Supervisor, lock};
use crate::http::limits::Limits;

pub(super) struct Dispatcher {
    pool: Pool,
    workers: usize,
    /// Workers outside of handlers at the most: what the processors can run at once.
    steppers: usize,
    queue_wait: Duration,
    queue: Mutex<Queue>,
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<(Instant, Held)>,
    /// Workers that run, or have been asked for.
    active: usize,
    /// How many of the workers run a handler.
    handling: usize,
    closed: bool,
}

impl Dispatcher {
    pub(super) fn new(limits: &Limits, supervisor: &Supervisor) -> Dispatcher {
        let workers = limits.workers.max(1);
        let pool_limits = PoolLimits {
            threads: workers,
            // A worker that has said it ends may not have given its thread back yet.
            queued: workers,
            idle: limits.worker_idle,
        };
        Dispatcher {
            pool: Pool::new("http-worker", pool_limits, supervisor),
            workers,
            steppers: std::thread::available_parallelism().map_or(1, NonZero::get),
            queue_wait: limits.queue_wait,
            queue: Mutex::default(),
        }
    }

    /// Queues the connection, and asks for a worker if too few are there to come for it.
    pub(super) fn submit(&self, shared: &Arc<Shared>, connection: Held) {
        let mut queue = lock(&self.queue);
        if queue.closed {
            drop(queue);
            drop(connection);
            return;
        }
        queue.waiting.push_back((Instant::now(), connection));
        self.reinforce(queue, shared);
    }

    /// To be held by a worker while it runs a handler, and so may wait.
    pub(super) fn handling<'a>(&'a self, shared: &Arc<Shared>) -> Handling<'a> {
        let mut queue = lock(&self.queue);
        queue.handling += 1;
        if !queue.waiting.is_empty() {
            self.reinforce(queue, shared);
        }
        Handling(&self.queue)
    }

    fn reinforce(&self, mut queue: MutexGuard<'_, Queue>, shared: &Arc<Shared>) {
        let stepping = queue.active - queue.handling;
        if queue.active >= self.workers || stepping >= self.steppers {
            return;
        }
        queue.active += 1;
        drop(queue);
        let of_worker = Arc::clone(shared);
        if self.pool.submit(move || work(&of_worker)).is_err() {
            // No thread to be had. The connection waits for a running worker, or its expiry.
            lock(&self.queue).active -= 1;
        }
    }

    /// Whether connections wait for a worker.
    pub(super) fn is_pressed(&self) -> bool {
        !lock(&self.queue).waiting.is_empty()
    }

    /// When the longest-waiting connection has waited too long.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let queue = lock(&self.queue);
        queue
            .waiting
            .front()
            .map(|(since, _)| *since + self.queue_wait)
    }

    /// Takes the connections that have waited too long.
    pub(super) fn take_expired(&self, now: Instant) -> Vec<Held> {
        let mut queue = lock(&self.queue);
        let expired = queue
            .waiting
            .iter()
            .take_while(|(since, _)| *since + self.queue_wait <= now)
            .count();
        let taken = queue.waiting.drain(..expired);
        taken.map(|(_, connection)| connection).collect()
    }

    /// Closes what waits, and returns when no worker runs.
    pub(super) fn close_and_join(&self) {
        let waiting = {
            let mut queue = lock(&self.queue);
            queue.closed = true;
            std::mem::take(&mut queue.waiting)
        };
        drop(waiting);
        self.pool.close_and_join();
    }
}

/// Counts a worker as handling.
pub(super) struct Handling<'a>(&'a Mutex<Queue>);

impl Drop for Handling<'_> {
    fn drop(&mut self) {
        lock(self.0).handling -= 1;
    }
}

/// A worker's whole life: until nothing waits.
fn work(shared: &Arc<Shared>) {
    let mut active = Active(Some(&shared.dispatcher.queue));
    while let Some(connection) = active.next() {
        serve(shared, connection);
    }
}

/// Counts a worker as active, also while it unwinds from a handler's panic.
struct Active<'a>(Option<&'a Mutex<Queue>>);

impl Active<'_> {
    /// The next connection. With none, the worker stops being active under the same lock, so
    /// that what is queued a moment later asks for another.
    fn next(&mut self) -> Option<Held> {
        let mutex = self.0?;
        let mut queue = lock(mutex);
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.active -= 1;
            self.0 = None;
        }
        next.map(|(_, connection)| connection)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        if let Some(queue) = self.0 {
            lock(queue).active -= 1;
        }
    }
}
