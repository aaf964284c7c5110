//! What may run here at once: the agent's own authority over its limits.
//!
//! Invariant: a [`Slot`] is counted from its making to its drop, and every execution holds one
//! for its whole life, so the counts are exact without anyone keeping them in step.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::base::threads::lock;
use crate::model::ids::FunctionName;

#[derive(Debug)]
pub(crate) struct Admission {
    max_executions: u32,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running_of: HashMap<FunctionName, u32>,
    running: u32,
    draining: bool,
    closed: bool,
}

/// Why nothing more is taken on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refused {
    /// The function's own limit.
    #[error("function {function} runs {limit} executions at once on this agent already")]
    FunctionAtCapacity { function: FunctionName, limit: u32 },
    /// The agent's limit.
    #[error("the agent runs {limit} executions already")]
    AgentAtCapacity {
        /// `limits.max_executions` of agent.yaml.
        limit: u32,
    },
    /// The agent finishes what runs.
    #[error("the agent is draining")]
    Draining,
}

/// One execution's place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    admission: Arc<Admission>,
    function: FunctionName,
}

impl Admission {
    /// Nothing runs yet.
    pub(crate) fn new(max_executions: NonZeroU32) -> Arc<Admission> {
        Arc::new(Admission {
            max_executions: max_executions.get(),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        })
    }

    /// Takes a place for one execution.
    ///
    /// # Errors
    /// [`Refused`], the narrowest reason first.
    pub(crate) fn admit(
        self: &Arc<Self>,
        function: &FunctionName,
        max_concurrency: NonZeroU32,
    ) -> Result<Slot, Refused> {
        let mut state = lock(&self.state);
        if state.draining || state.closed {
            return Err(Refused::Draining);
        }
        let of_function = state.running_of.get(function).copied().unwrap_or(0);
        if of_function >= max_concurrency.get() {
            return Err(Refused::FunctionAtCapacity {
                function: function.clone(),
                limit: max_concurrency.get(),
            });
        }
        if state.running >= self.max_executions {
            return Err(Refused::AgentAtCapacity {
                limit: self.max_executions,
            });
        }
        state.running += 1;
        *state.running_of.entry(function.clone()).or_default() += 1;
        Ok(Slot {
            admission: Arc::clone(self),
            function: function.clone(),
        })
    }

    /// Starts or ends draining; returns how many executions run.
    pub(crate) fn set_draining(&self, draining: bool) -> u32 {
        let mut state = lock(&self.state);
        state.draining = draining;
        state.running
    }

    /// Takes on nothing any more, whatever [`Admission::set_draining`] says later; returns how
    /// many executions run.
    pub(crate) fn close(&self) -> u32 {
        let mut state = lock(&self.state);
        state.closed = true;
        state.running
    }

    /// Whether nothing is taken on.
    pub(crate) fn is_draining(&self) -> bool {
        let state = lock(&self.state);
        state.draining || state.closed
    }

    /// Executions that run now.
    pub(crate) fn running(&self) -> u32 {
        lock(&self.state).running
    }

    /// Executions that may run at once.
    pub(crate) fn max_executions(&self) -> u32 {
        self.max_executions
    }

    /// Waits until nothing runs; says whether that came within `limit`.
    pub(crate) fn wait_until_idle(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = lock(&self.state);
        while state.running > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = lock(&self.admission.state);
        state.running -= 1;
        if let Some(count) = state.running_of.get_mut(&self.function) {
            *count -= 1;
            if *count == 0 {
                state.running_of.remove(&self.function);
            }
        }
        let idle = state.running == 0;
        drop(state);
        if idle {
            self.admission.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> FunctionName {
        FunctionName::new(text).expect("name")
    }

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    #[test]
    fn each_limit_refuses_with_its_own_reason_and_frees_with_its_slot() {
        let admission = Admission::new(count(3));
        let first = admission.admit(&name("a"), count(2)).expect("room");
        let second = admission.admit(&name("a"), count(2)).expect("room");
        assert!(matches!(
            admission.admit(&name("a"), count(2)),
            Err(Refused::FunctionAtCapacity { limit: 2, .. })
        ));
        let third = admission.admit(&name("b"), count(2)).expect("room");
        assert!(matches!(
            admission.admit(&name("c"), count(2)),
            Err(Refused::AgentAtCapacity { limit: 3 })
        ));
        drop(first);
        assert_eq!(admission.running(), 2);
        let fourth = admission.admit(&name("a"), count(2)).expect("room again");
        drop((second, third, fourth));
        assert_eq!(admission.running(), 0);
        assert!(lock(&admission.state).running_of.is_empty());
    }

    #[test]
    fn draining_refuses_and_waits_for_the_last_slot() {
        let admission = Admission::new(count(3));
        let slot = admission.admit(&name("a"), count(2)).expect("room");
        assert_eq!(admission.set_draining(true), 1);
        assert_eq!(
            admission.admit(&name("a"), count(2)).err(),
            Some(Refused::Draining)
        );
        assert!(!admission.wait_until_idle(Duration::from_millis(5)));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| admission.wait_until_idle(Duration::from_secs(10)));
            drop(slot);
            assert!(waiter.join().expect("waiter"));
        });
        admission.set_draining(false);
        assert!(admission.admit(&name("a"), count(2)).is_ok());
    }

    #[test]
    fn an_agent_that_ends_is_not_opened_again_by_whoever_takes_back_a_drain() {
        let admission = Admission::new(count(3));
        assert_eq!(admission.close(), 0);
        admission.set_draining(false);
        assert!(admission.is_draining());
        assert_eq!(
            admission.admit(&name("a"), count(2)).err(),
            Some(Refused::Draining)
        );
    }
}
