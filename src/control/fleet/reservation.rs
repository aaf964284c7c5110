//! A slot that is taken on an agent, and given back when its holder is done with it.

use std::sync::Arc;

use super::entry::RefusedFor;
use super::roster::Fleet;
use super::state::{Current, Placed};
use crate::model::ids::{AgentId, ExecutionId};

/// Holds one slot for one execution. Dropped, the slot is free and whoever waits gets it;
/// [`Reservation::hand_over`] leaves it taken until the agent reports the execution's end.
#[derive(Debug)]
pub(crate) struct Reservation {
    fleet: Arc<Fleet>,
    placed: Placed,
    execution: ExecutionId,
    handed_over: bool,
}

impl Reservation {
    pub(super) fn new(fleet: Arc<Fleet>, placed: Placed, execution: ExecutionId) -> Reservation {
        Reservation {
            fleet,
            placed,
            execution,
            handed_over: false,
        }
    }

    /// Where the slot is.
    pub(crate) fn agent(&self) -> &AgentId {
        &self.placed.agent
    }

    /// `host:port` of the agent.
    pub(crate) fn address(&self) -> &str {
        &self.placed.address
    }

    /// Whether the agent is dialled with mTLS.
    pub(crate) fn tls(&self) -> bool {
        self.placed.tls
    }

    /// The function as it was when the slot was taken.
    pub(crate) fn current(&self) -> &Current {
        &self.placed.current
    }

    /// The agent has accepted the execution and will report its end.
    pub(crate) fn hand_over(mut self) {
        self.handed_over = true;
        self.fleet.call_ended(&self.placed.agent, &self.execution);
    }

    /// The agent has no room: the slot is given back, and the agent is not offered another
    /// execution of the kind before something there ends.
    pub(crate) fn turn_down(mut self, refused: RefusedFor) {
        self.handed_over = true;
        self.fleet
            .turn_down(&self.placed.agent, &self.execution, refused);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.handed_over {
            self.fleet.vacate(&self.placed.agent, &self.execution);
        }
    }
}
