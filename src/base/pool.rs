//! A bounded pool of threads that grows when work waits and shrinks when it is idle.
//!
//! Owns: its threads and its queue. Refuses: work beyond both bounds, by an error to the caller.
//! Invariant: every accepted job runs exactly once, also during shutdown; dropping the pool
//! joins its threads.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::threads::{Joined, Supervisor, lock};
use crate::base::causes::with_causes;

/// The bounds of one pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolLimits {
    /// Threads at the most.
    pub threads: usize,
    /// Jobs that may wait for a thread when all are busy.
    pub queued: usize,
    /// A thread without work for this long ends.
    pub idle: Duration,
}

/// All threads are busy and the queue is full; the job comes back.
pub(crate) struct Full<J>(pub J);

type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Pool {
    shared: Arc<Shared>,
    // Joined on drop, after Drop has closed the queue.
    threads: Mutex<Vec<Joined>>,
}

struct Shared {
    name: String,
    limits: PoolLimits,
    supervisor: Supervisor,
    state: Mutex<State>,
    work_or_close: Condvar,
}

struct State {
    queue: VecDeque<Job>,
    busy: usize,
    alive: usize,
    started: u64,
    closed: bool,
}

impl Pool {
    /// An empty pool; threads start with the first jobs.
    pub(crate) fn new(name: &str, limits: PoolLimits, supervisor: &Supervisor) -> Pool {
        Pool {
            shared: Arc::new(Shared {
                name: name.to_owned(),
                limits,
                supervisor: supervisor.clone(),
                state: Mutex::new(State {
                    queue: VecDeque::new(),
                    busy: 0,
                    alive: 0,
                    started: 0,
                    closed: false,
                }),
                work_or_close: Condvar::new(),
            }),
            threads: Mutex::new(Vec::new()),
        }
    }

    /// Hands `job` to a thread.
    ///
    /// # Errors
    /// [`Full`] with the job when the bounds are reached, the pool is closed, or the system
    /// gives no thread and none is alive to take the job later.
    pub(crate) fn submit<J: FnOnce() + Send + 'static>(&self, job: J) -> Result<(), Full<J>> {
        let mut state = lock(&self.shared.state);
        let limits = self.shared.limits;
        let unfinished = state.busy + state.queue.len();
        if state.closed || unfinished >= limits.threads + limits.queued {
            return Err(Full(job));
        }
        // A waiting job has a claim on an idle thread already.
        if unfinished >= state.alive && state.alive < limits.threads {
            state.alive += 1;
            state.started += 1;
            let name = format!("{}-{}", self.shared.name, state.started);
            let shared = Arc::clone(&self.shared);
            match self.shared.supervisor.spawn(name, move || shared.work()) {
                Ok(thread) => {
                    let mut threads = lock(&self.threads);
                    threads.retain(|thread| !thread.is_finished());
                    threads.push(thread);
                }
                Err(error) => {
                    log::warn!(
                        "pool {}: no further thread: {}",
                        self.shared.name,
                        with_causes(&error)
                    );
                    state.alive -= 1;
                    if state.alive == 0 {
                        return Err(Full(job));
                    }
                }
            }
        }
        state.queue.push_back(Box::new(job));
        drop(state);
        self.shared.work_or_close.notify_one();
        Ok(())
    }

    /// Threads alive now, for status pages.
    #[cfg(test)]
    pub(crate) fn alive(&self) -> usize {
        lock(&self.shared.state).alive
    }

    /// Takes no further job; what was accepted still runs. Returns once it has.
    pub(crate) fn close_and_join(&self) {
        lock(&self.shared.state).closed = true;
        self.shared.work_or_close.notify_all();
        let threads = std::mem::take(&mut *lock(&self.threads));
        drop(threads);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close_and_join();
    }
}

impl Shared {
    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.queue.pop_front() {
                state.busy += 1;
                drop(state);
                self.supervisor.guard(&self.name, job);
                state = lock(&self.state);
                state.busy -= 1;
                continue;
            }
            if state.closed {
                break;
            }
            let (woken, wait) = self
                .work_or_close
                .wait_timeout(state, self.limits.idle)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if wait.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.alive -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const LIMITS: PoolLimits = PoolLimits {
        threads: 2,
        queued: 1,
        idle: Duration::from_secs(5),
    };

    #[test]
    fn jobs_beyond_threads_and_queue_are_refused_and_accepted_ones_all_run() {
        let supervisor = Supervisor::new();
        let pool = Pool::new("test", LIMITS, &supervisor);
        let ran = Arc::new(AtomicUsize::new(0));
        let (release, hold) = crossbeam_channel::bounded::<()>(0);
        let job = || {
            let (ran, hold) = (Arc::clone(&ran), hold.clone());
            move || {
                let _ = hold.recv();
                ran.fetch_add(1, Ordering::SeqCst);
            }
        };
        for _ in 0..3 {
            assert!(pool.submit(job()).is_ok());
        }
        assert!(pool.submit(job()).is_err());
        drop(release);
        pool.close_and_join();
        assert_eq!(ran.load(Ordering::SeqCst), 3);
        assert!(pool.submit(|| ()).is_err(), "a closed pool takes nothing");
    }

    #[test]
    fn an_idle_thread_is_reused_and_then_ends() {
        let supervisor = Supervisor::new();
        let limits = PoolLimits {
            idle: Duration::from_millis(20),
            ..LIMITS
        };
        let pool = Pool::new("test", limits, &supervisor);
        assert!(pool.submit(|| ()).is_ok());
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while pool.alive() > 0 {
            assert!(std::time::Instant::now() < deadline, "thread never ended");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_panicking_job_trips_shutdown() {
        let supervisor = Supervisor::new();
        let pool = Pool::new("test", LIMITS, &supervisor);
        assert!(pool.submit(|| panic!("job")).is_ok());
        supervisor.shutdown().wait();
        assert_eq!(supervisor.first_panic().as_deref(), Some("test: job"));
    }
}
