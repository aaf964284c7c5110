//! What keeps an agent's ends or output from coming home, said once and not with every attempt.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::base::threads::lock;
use crate::model::ids::AgentId;

/// What was complained of last, by agent.
#[derive(Default)]
pub(super) struct Complaints {
    last: Mutex<HashMap<AgentId, String>>,
}

impl Complaints {
    /// Warns, unless the same was complained of before and has not been settled since. Whether it did.
    pub(super) fn raise(&self, agent: &AgentId, what: String) -> bool {
        let mut last = lock(&self.last);
        if last.get(agent) == Some(&what) {
            return false;
        }
        log::warn!("agent {agent}: {what}");
        last.insert(agent.clone(), what);
        true
    }

    /// All is well, or the agent is gone.
    pub(super) fn settle(&self, agent: &AgentId) {
        lock(&self.last).remove(agent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_raised_again_when_it_changes_or_comes_back() {
        let complaints = Complaints::default();
        let [a, b] = ["a", "b"].map(|id| AgentId::new(id).expect("id"));
        let raise = |agent, what: &str| complaints.raise(agent, what.to_owned());
        assert!(raise(&a, "the store is full"));
        assert!(!raise(&a, "the store is full"));
        assert!(raise(&b, "the store is full"));
        assert!(raise(&a, "the store cannot be used"));
        assert!(raise(&a, "the store is full"));
        complaints.settle(&a);
        assert!(raise(&a, "the store is full"));
    }
}
