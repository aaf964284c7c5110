//! Which executions have a slot on which agent, and which wait for one.
//!
//! A slot is taken as a [`Reservation`] and freed by its end, by the agent's word that nothing runs, or by
//! that of an execution's end. Each freed slot goes to the first who waits for it, under the same lock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::entry::{AgentView, Entry, RefusedFor};
use super::queue::{Entered, Ticket, WaitError};
use super::reservation::Reservation;
use super::roster::Fleet;
use super::state::Placed;
use super::waiting::{Place, Waiting};
use crate::base::cancel::Cancel;
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::policy::placement::NoRoom;

impl Fleet {
    /// Takes a slot for `execution` of `function`, waiting for one where the function's
    /// behaviours say so, until the client leaves or the control plane ends.
    ///
    /// # Errors
    /// [`WaitError`]; no slot is taken then.
    pub(crate) fn acquire(
        self: &Arc<Self>,
        function: &FunctionName,
        execution: &ExecutionId,
        client_gone: &Cancel,
    ) -> Result<Reservation, WaitError> {
        match self.enter(function, execution)? {
            Place::Taken(reservation) => Ok(reservation),
            Place::InQueue(waiting) => {
                log::debug!("function {function}: execution {execution} waits for room");
                waiting.wait(client_gone)
            }
        }
    }

    /// Takes a slot for `execution` of `function` at once, or a place in the queue where the function
    /// wants that.
    ///
    /// # Errors
    /// [`WaitError`]; no slot and no place is taken then.
    pub(crate) fn enter(
        self: &Arc<Self>,
        function: &FunctionName,
        execution: &ExecutionId,
    ) -> Result<Place, WaitError> {
        let entered = self.state().enter(function, execution, self.limits())?;
        Ok(match entered {
            Entered::Placed(placed) => Place::Taken(self.reserve(placed, execution)),
            Entered::Waiting(ticket) => {
                Place::InQueue(Waiting::new(Arc::clone(self), ticket, execution.clone()))
            }
        })
    }

    /// The agent with which this control plane knows an execution to be, or to be about to be.
    pub(crate) fn whereabouts(&self, execution: &ExecutionId) -> Option<AgentView> {
        self.state()
            .agents
            .values()
            .find(|entry| entry.inflight.contains_key(execution))
            .map(Entry::view)
    }

    /// How many calls wait for room.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiters.len()
    }

    /// Sends every waiter away, now and from now on; for shutdown.
    pub(crate) fn dismiss_waiters(&self) {
        self.state().dismiss_waiters();
    }

    /// What the agent says runs there: replaces what was believed, except for executions that a
    /// call is about just now.
    pub(crate) fn replace_running(&self, id: &AgentId, running: Vec<(ExecutionId, FunctionName)>) {
        let mut state = self.state();
        let state = &mut *state;
        let Some(entry) = state.agents.get_mut(id) else {
            return;
        };
        let reported: HashMap<_, _> = running.into_iter().collect();
        let ended: Vec<_> = entry
            .inflight
            .iter()
            .filter(|(execution, inflight)| !inflight.calling && !reported.contains_key(execution))
            .map(|(execution, _)| execution.clone())
            .collect();
        for execution in ended {
            entry.vacate(&execution);
        }
        for (execution, function) in reported {
            entry.occupy(execution, state.current.get(&function), &function, false);
        }
        state.serve_waiters();
    }

    /// An execution ended: its slot is free. Also of one that is not known here: the agent has
    /// room that it may have refused a moment ago.
    pub(crate) fn vacate(&self, id: &AgentId, execution: &ExecutionId) {
        let mut state = self.state();
        if let Some(entry) = state.agents.get_mut(id) {
            entry.vacate(execution);
            state.serve_waiters();
        }
    }

    pub(super) fn turn_down(&self, id: &AgentId, execution: &ExecutionId, refused: RefusedFor) {
        let mut state = self.state();
        if let Some(entry) = state.agents.get_mut(id) {
            entry.turn_down(execution, refused);
            state.serve_waiters();
        }
    }

    pub(super) fn call_ended(&self, id: &AgentId, execution: &ExecutionId) {
        self.with_entry(id, |entry| {
            if let Some(inflight) = entry.inflight.get_mut(execution) {
                inflight.calling = false;
            }
        });
    }

    pub(super) fn reserve(
        self: &Arc<Self>,
        placed: Placed,
        execution: &ExecutionId,
    ) -> Reservation {
        Reservation::new(Arc::clone(self), placed, execution.clone())
    }

    /// For a waiter whose time is over: what is short, and how long that is worth waiting for.
    pub(super) fn reconsider(&self, function: &FunctionName) -> (NoRoom, Duration) {
        self.state().reconsider(function)
    }

    /// Takes a waiter out of the queue; `false`: it has been answered already.
    pub(super) fn leave(&self, ticket: &Ticket) -> bool {
        self.state().waiters.leave(ticket)
    }
}
