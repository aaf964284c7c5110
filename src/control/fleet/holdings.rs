//! Which functions each agent holds, beside those that it should hold: placement sends an execution to
//! an agent only where the two are the same.
//!
//! Whatever is brought or taken may be what a waiter waits for, so each change serves the queue.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::Held;
use super::roster::Fleet;
use super::state::Current;
use crate::model::ids::{AgentId, FunctionName};

impl Fleet {
    /// What an agent holds of a function.
    pub(crate) fn held(&self, id: &AgentId, function: &FunctionName) -> Option<Held> {
        let state = self.state();
        state.agents.get(id)?.held.get(function).cloned()
    }

    /// Whether an agent holds some function not as it should.
    pub(crate) fn lacks_something(&self, id: &AgentId) -> bool {
        let state = self.state();
        let Some(entry) = state.agents.get(id) else {
            return false;
        };
        state.current.iter().any(|(name, current)| {
            let held = entry.held.get(name);
            held.is_none_or(|held| !current.is_as_held(held))
        })
    }

    /// An agent said that it does not hold a function as `current` says; whatever it was brought
    /// since then stands.
    pub(crate) fn disprove_held(&self, id: &AgentId, current: &Current) {
        self.with_entry(id, |entry| {
            let name = &current.config.name;
            if entry
                .held
                .get(name)
                .is_some_and(|held| current.is_as_held(held))
            {
                entry.held.remove(name);
            }
        });
    }

    /// What an agent holds of a function from now on; `None` = nothing, or nobody knows.
    pub(crate) fn set_held(&self, id: &AgentId, function: &FunctionName, held: Option<Held>) {
        let mut state = self.state();
        if let Some(entry) = state.agents.get_mut(id) {
            match held {
                Some(held) => entry.held.insert(function.clone(), held),
                None => entry.held.remove(function),
            };
        }
        state.serve_waiters();
    }

    /// What an agent holds, whole.
    pub(crate) fn replace_held(&self, id: &AgentId, held: HashMap<FunctionName, Held>) {
        let mut state = self.state();
        if let Some(entry) = state.agents.get_mut(id) {
            entry.held = held;
        }
        state.serve_waiters();
    }

    /// What has to be run from now on under a name; `None` = the function is deleted.
    pub(crate) fn set_current(&self, name: &FunctionName, current: Option<Current>) {
        let mut state = self.state();
        match current {
            Some(current) => state.current.insert(name.clone(), Arc::new(current)),
            None => state.current.remove(name),
        };
        state.serve_waiters();
    }
}
