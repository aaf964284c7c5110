//! What holds at every moment of a day.

use std::collections::HashMap;

use super::day::{AT_ONCE, Day, MISSES};
use crate::model::agent::AgentState;
use crate::model::ids::AgentId;
use crate::store::history::RecordFilter;

impl Day {
    /// After everything: slots are within their bounds, and who waits does so for a reason.
    pub(super) fn check(&self) {
        let mut running: HashMap<&AgentId, usize> = HashMap::new();
        for (reservation, _) in self.running.values() {
            *running.entry(reservation.agent()).or_default() += 1;
        }
        for view in self.fleet.list() {
            let count = running.get(&view.agent.id).copied().unwrap_or(0);
            assert!(count <= AT_ONCE, "{count} run on {}", view.agent.id);
            assert_eq!(view.active_count as usize, count, "{}", view.agent.id);
            let has_room = view.agent.state == AgentState::Online && count < AT_ONCE;
            assert!(
                !has_room || self.waiting.is_empty(),
                "{} wait though {} has room",
                self.waiting.len(),
                view.agent.id
            );
        }
        assert_eq!(self.fleet.waiting(), self.waiting.len());
    }

    /// After a round of probes: nobody who was silent too often gets traffic.
    pub(super) fn check_health(&self) {
        for (id, machine) in self.machines.all() {
            let state = self.fleet.get(&id).expect("known").agent.state;
            if machine.missed >= MISSES {
                assert_eq!(state, AgentState::Offline, "{id} is silent");
            }
            if state == AgentState::Online {
                assert!(machine.missed < MISSES, "{id} gets traffic");
            }
            if machine.is_up {
                assert_ne!(state, AgentState::Offline, "{id} answers");
            }
        }
    }

    /// After a cleaning: what is kept is exactly what should be.
    pub(super) fn check_history(&mut self) {
        let now = self.clock.now();
        let retention = self.retention.clone();
        self.ended.retain(|_, (ended_at, is_success, claimed)| {
            let age = if *is_success {
                retention.success
            } else {
                retention.failure
            };
            let is_young = ended_at.after(age) > now;
            is_young || claimed.is_some_and(|until| until > now)
        });
        let mut kept = Vec::new();
        let mut filter = RecordFilter::default();
        loop {
            let page = self.history.list_records(&filter, 500).expect("list");
            let Some(last) = page.last() else { break };
            filter.before = Some(last.id.clone());
            kept.extend(page.into_iter().map(|record| record.id));
        }
        kept.reverse();
        let expected: Vec<_> = self.ended.keys().cloned().collect();
        assert_eq!(kept, expected);
    }
}
