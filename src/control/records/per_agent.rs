//! Work for each agent, once at a time however often it is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::base::pool::{Pool, PoolLimits};
use crate::base::threads::{Supervisor, lock};
use crate::model::ids::AgentId;

/// One kind of work. What is asked for while it is under way is done once more after.
pub(super) struct PerAgent {
    shared: Arc<Shared>,
    pool: Pool,
}

struct Shared {
    work: Box<dyn Fn(&AgentId) -> bool + Send + Sync>,
    turns: Mutex<HashMap<AgentId, Turn>>,
    served: Condvar,
}

#[derive(Default)]
struct Turn {
    /// How often it was asked for.
    asked: u64,
    /// Up to which asking it is done.
    served: u64,
    /// Whether it succeeded then.
    succeeded: bool,
    under_way: bool,
    /// The agent has gone since it was asked for last; whoever does the work removes this then.
    is_forgotten: bool,
}

impl PerAgent {
    /// Nothing is done before it is asked for. `work` says whether it succeeded.
    pub(super) fn new(
        name: &str,
        limits: PoolLimits,
        supervisor: &Supervisor,
        work: impl Fn(&AgentId) -> bool + Send + Sync + 'static,
    ) -> PerAgent {
        PerAgent {
            shared: Arc::new(Shared {
                work: Box::new(work),
                turns: Mutex::default(),
                served: Condvar::new(),
            }),
            pool: Pool::new(name, limits, supervisor),
        }
    }

    /// Has it done soon.
    pub(super) fn ask(&self, agent: &AgentId) {
        self.ask_for_turn(agent);
    }

    /// Has it done, and waits until that is over, `at_most` so long. Whether it is, and has
    /// succeeded.
    pub(super) fn ask_and_wait(&self, agent: &AgentId, at_most: Duration) -> bool {
        let ticket = self.ask_for_turn(agent);
        let deadline = Instant::now() + at_most;
        let mut turns = lock(&self.shared.turns);
        loop {
            let Some(turn) = turns.get(agent) else {
                return false;
            };
            if turn.served >= ticket {
                return turn.succeeded;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !turn.under_way || turn.is_forgotten {
                return false;
            }
            (turns, _) = self
                .shared
                .served
                .wait_timeout(turns, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Forgets what it kept for an agent that is gone. What is under way goes on, and is not done
    /// again unless it is asked for again.
    pub(super) fn forget(&self, agent: &AgentId) {
        let mut turns = lock(&self.shared.turns);
        match turns.get_mut(agent) {
            // Taken away now, the same agent could come back and be worked for a second time at once.
            Some(turn) if turn.under_way => turn.is_forgotten = true,
            Some(_) | None => drop(turns.remove(agent)),
        }
        self.shared.served.notify_all();
    }

    fn ask_for_turn(&self, agent: &AgentId) -> u64 {
        let ticket = {
            let mut turns = lock(&self.shared.turns);
            let turn = turns.entry(agent.clone()).or_default();
            turn.asked += 1;
            turn.is_forgotten = false;
            if std::mem::replace(&mut turn.under_way, true) {
                return turn.asked;
            }
            turn.asked
        };
        let (shared, id) = (Arc::clone(&self.shared), agent.clone());
        if self.pool.submit(move || shared.serve(&id)).is_err() {
            // Whoever asks next tries again.
            if let Some(turn) = lock(&self.shared.turns).get_mut(agent) {
                turn.under_way = false;
            }
            self.shared.served.notify_all();
        }
        ticket
    }
}

impl Shared {
    fn serve(&self, agent: &AgentId) {
        loop {
            let Some(serving) = lock(&self.turns).get(agent).map(|turn| turn.asked) else {
                return;
            };
            let succeeded = (self.work)(agent);
            let mut turns = lock(&self.turns);
            self.served.notify_all();
            let Some(turn) = turns.get_mut(agent) else {
                return;
            };
            if turn.is_forgotten {
                turns.remove(agent);
                return;
            }
            turn.served = serving;
            turn.succeeded = succeeded;
            if turn.asked == serving {
                turn.under_way = false;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;

    use crossbeam_channel::bounded;

    use super::*;

    const LIMITS: PoolLimits = PoolLimits {
        threads: 4,
        queued: 16,
        idle: Duration::from_secs(1),
    };

    fn agent(id: &str) -> AgentId {
        AgentId::new(id).expect("id")
    }

    #[test]
    fn what_is_asked_for_while_it_is_under_way_is_done_once_more() {
        let (begun, begins) = bounded(9);
        let (open, gate) = bounded(0);
        let supervisor = Supervisor::new();
        let per_agent = PerAgent::new("work", LIMITS, &supervisor, move |_| {
            begun.send(()).expect("room");
            let _ = gate.recv();
            true
        });
        per_agent.ask(&agent("a"));
        begins.recv().expect("begun");
        for _ in 0..5 {
            per_agent.ask(&agent("a"));
        }
        open.send(()).expect("under way");
        begins.recv().expect("once more");
        open.send(()).expect("under way");
        assert!(!per_agent.ask_and_wait(&agent("a"), Duration::from_millis(20)));
        begins.recv().expect("for whoever waits");
        open.send(()).expect("under way");
        drop(open);
        assert!(per_agent.ask_and_wait(&agent("a"), Duration::from_secs(20)));
    }

    #[test]
    fn an_agent_that_goes_and_comes_back_is_worked_for_once_at_a_time() {
        let (begun, begins) = bounded(9);
        let (open, gate) = bounded(0);
        let at_once = AtomicUsize::new(0);
        let supervisor = Supervisor::new();
        let per_agent = PerAgent::new("work", LIMITS, &supervisor, move |_| {
            let before = at_once.fetch_add(1, Ordering::SeqCst);
            begun.send(before).expect("room");
            // Also when the test has failed, and opens it no more.
            let _ = gate.recv_timeout(Duration::from_secs(20));
            at_once.fetch_sub(1, Ordering::SeqCst);
            true
        });
        let id = agent("a");
        per_agent.ask(&id);
        assert_eq!(begins.recv(), Ok(0));
        per_agent.ask(&id);
        per_agent.forget(&id);
        assert!(!per_agent.ask_and_wait(&id, Duration::from_millis(20)));
        assert!(begins.is_empty(), "two at once");
        open.send(()).expect("under way");
        assert_eq!(begins.recv(), Ok(0));
        per_agent.forget(&id);
        open.send(()).expect("under way");
        drop(open);
        let deadline = Instant::now() + Duration::from_secs(20);
        while per_agent
            .shared
            .turns
            .lock()
            .expect("turns")
            .contains_key(&id)
        {
            assert!(Instant::now() < deadline, "its turn stays");
            thread::yield_now();
        }
        assert!(begins.is_empty(), "nobody asked again");
    }

    #[test]
    fn agents_do_not_wait_for_one_another() {
        let (both, rendezvous) = bounded::<()>(0);
        let supervisor = Supervisor::new();
        let is_first = AtomicBool::new(true);
        let per_agent = PerAgent::new("work", LIMITS, &supervisor, move |_| {
            if is_first.swap(false, Ordering::SeqCst) {
                rendezvous.recv().expect("the other one");
            } else {
                both.send(()).expect("the first one");
            }
            true
        });
        per_agent.ask(&agent("a"));
        assert!(per_agent.ask_and_wait(&agent("b"), Duration::from_secs(20)));
    }

    #[test]
    fn whoever_waits_is_told_whether_it_succeeded() {
        let supervisor = Supervisor::new();
        let is_well = |id: &AgentId| *id == agent("well");
        let per_agent = PerAgent::new("work", LIMITS, &supervisor, is_well);
        assert!(per_agent.ask_and_wait(&agent("well"), Duration::from_secs(20)));
        assert!(!per_agent.ask_and_wait(&agent("ill"), Duration::from_secs(20)));
    }
}
