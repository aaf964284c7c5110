//! Who waits for room: first in, first out for each function, bounded in length and time.
//!
//! A waiter is answered exactly once, under the fleet's lock: with a slot taken on its behalf,
//! or with the reason why waiting makes no sense any more. One that gives up removes itself
//! under the same lock, so that no slot is ever handed to somebody who has left.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use thiserror::Error;

use super::state::{Current, Placed, State};
use crate::model::function::Behavior;
use crate::model::ids::{ExecutionId, FunctionName};
use crate::policy::placement::NoRoom;

/// How long a call waits for agents that are being brought its function, whatever the function's
/// behaviours say: a deploy or a restart is no reason to refuse. Long enough for an archive of
/// ordinary size; a client that cannot wait gives up earlier.
const SYNC_WAIT: Duration = Duration::from_secs(15);

/// Bounds of the queues.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueLimits {
    /// Waiters of one function.
    pub per_function: usize,
    /// Waiters of all functions: each holds a connection and a thread.
    pub in_all: usize,
}

/// Why a call got no slot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum WaitError {
    /// No such function.
    #[error("no function {0}")]
    FunctionNotFound(FunctionName),
    /// Registered, but without code.
    #[error("function {0} has no code yet")]
    NotDeployed(FunctionName),
    /// No room, and the function says `exit`, or nobody could make room.
    #[error("no room: {0:?}")]
    NoRoom(NoRoom),
    /// As many calls wait as may.
    #[error("{waiting} calls wait already")]
    QueueFull {
        /// How many do.
        waiting: usize,
    },
    /// It waited as long as the function allows.
    #[error("no room within {} s", waited.as_secs())]
    WaitedTooLong {
        /// What was short at the end.
        reason: NoRoom,
        /// How long it waited.
        waited: Duration,
    },
    /// The client left.
    #[error("the client left")]
    ClientGone,
    /// The control plane ends.
    #[error("the control plane is shutting down")]
    ShuttingDown,
}

pub(super) type Answer = Result<Placed, WaitError>;

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    execution: ExecutionId,
    answer: Sender<Answer>,
}

#[derive(Debug, Default)]
pub(super) struct Waiters {
    by_function: HashMap<FunctionName, VecDeque<Waiter>>,
    in_all: usize,
    next_ticket: u64,
    /// The control plane ends: nobody begins to wait any more.
    closed: bool,
}

/// A place in the queue.
#[derive(Debug)]
pub(super) struct Ticket {
    pub number: u64,
    pub function: FunctionName,
    pub answer: Receiver<Answer>,
    /// How long to wait at the most, given what was short at first.
    pub patience: Duration,
}

pub(super) enum Entered {
    Placed(Placed),
    Waiting(Ticket),
}

impl State {
    /// Takes a slot at once, or a place in the queue where the function wants that.
    pub(crate) fn enter(
        &mut self,
        name: &FunctionName,
        execution: &ExecutionId,
        limits: QueueLimits,
    ) -> Result<Entered, WaitError> {
        let current = self.runnable(name)?;
        // Whoever waits already goes first.
        let (reason, patience) = if self.waiters.by_function.contains_key(name) {
            (NoRoom::AtCapacity, Some(longest_patience(&current)))
        } else {
            match self.place(&current, execution) {
                Ok(placed) => return Ok(Entered::Placed(placed)),
                Err(reason) => (reason, self.patience(&current, reason)),
            }
        };
        let patience = patience.ok_or(WaitError::NoRoom(reason))?;
        let ticket = self.waiters.push(name, execution, limits, patience)?;
        Ok(Entered::Waiting(ticket))
    }

    /// Gives every slot that can be had to whoever waits longest for it. To be called after
    /// anything that may have made room, or made waiting pointless.
    pub(crate) fn serve_waiters(&mut self) {
        if self.waiters.in_all == 0 {
            return;
        }
        let mut heads: Vec<_> = self
            .waiters
            .by_function
            .iter()
            .filter_map(|(name, queue)| Some((queue.front()?.ticket, name.clone())))
            .collect();
        heads.sort_unstable();
        for (_, name) in heads {
            self.serve_function(&name);
        }
    }

    /// What is short now for whoever has waited as long as it meant to, and how long that is
    /// worth waiting for in all.
    pub(crate) fn reconsider(&self, name: &FunctionName) -> (NoRoom, Duration) {
        let Some(current) = self.current.get(name) else {
            return (NoRoom::NotSynced, Duration::ZERO);
        };
        match self.look(current) {
            // There is room, and those before it are about to be given it.
            Ok(_) => (NoRoom::AtCapacity, Duration::ZERO),
            Err(reason) => (reason, self.patience(current, reason).unwrap_or_default()),
        }
    }

    /// Answers everybody, also who comes later, that the control plane ends.
    pub(crate) fn dismiss_waiters(&mut self) {
        self.waiters.closed = true;
        for (_, queue) in self.waiters.by_function.drain() {
            for waiter in queue {
                let _ = waiter.answer.send(Err(WaitError::ShuttingDown));
            }
        }
        self.waiters.in_all = 0;
    }

    fn serve_function(&mut self, name: &FunctionName) {
        while let Some(execution) = self.waiters.head(name) {
            let answer = match self.runnable(name) {
                Err(error) => Err(error),
                Ok(current) => match self.place(&current, &execution) {
                    Ok(placed) => Ok(placed),
                    Err(reason) if self.patience(&current, reason).is_some() => return,
                    Err(reason) => Err(WaitError::NoRoom(reason)),
                },
            };
            self.waiters.answer_head(name, answer);
        }
    }

    fn runnable(&self, name: &FunctionName) -> Result<std::sync::Arc<Current>, WaitError> {
        let current = self
            .current
            .get(name)
            .ok_or_else(|| WaitError::FunctionNotFound(name.clone()))?;
        if current.code.is_none() {
            return Err(WaitError::NotDeployed(name.clone()));
        }
        Ok(std::sync::Arc::clone(current))
    }

    /// How long a call may wait for what is short; `None` = not at all.
    fn patience(&self, current: &Current, reason: NoRoom) -> Option<Duration> {
        let behavior = match reason {
            NoRoom::AtCapacity => current.config.max_concurrency_behavior,
            NoRoom::ResourcePressure => current.config.resource_pressure_behavior,
            NoRoom::NotSynced => return Some(SYNC_WAIT),
            NoRoom::NoAgent | NoRoom::NotIsolated => {
                return self.help_is_coming().then_some(SYNC_WAIT);
            }
        };
        match behavior {
            Behavior::Wait => Some(current.config.max_wait),
            Behavior::Exit => None,
        }
    }
}

/// For whoever queues behind others and so does not know yet what is short; it is told once it
/// is the first.
fn longest_patience(current: &Current) -> Duration {
    let config = &current.config;
    match (
        config.max_concurrency_behavior,
        config.resource_pressure_behavior,
    ) {
        (Behavior::Exit, Behavior::Exit) => SYNC_WAIT,
        (Behavior::Wait, _) | (_, Behavior::Wait) => config.max_wait,
    }
}

impl Waiters {
    fn push(
        &mut self,
        name: &FunctionName,
        execution: &ExecutionId,
        limits: QueueLimits,
        patience: Duration,
    ) -> Result<Ticket, WaitError> {
        if self.closed {
            return Err(WaitError::ShuttingDown);
        }
        let waiting = self.by_function.get(name).map_or(0, VecDeque::len);
        if waiting >= limits.per_function || self.in_all >= limits.in_all {
            return Err(WaitError::QueueFull { waiting });
        }
        let number = self.next_ticket;
        self.next_ticket += 1;
        self.in_all += 1;
        // Room for the one answer, so that giving it never blocks under the lock.
        let (sender, answer) = bounded(1);
        self.by_function
            .entry(name.clone())
            .or_default()
            .push_back(Waiter {
                ticket: number,
                execution: execution.clone(),
                answer: sender,
            });
        Ok(Ticket {
            number,
            function: name.clone(),
            answer,
            patience,
        })
    }

    fn head(&self, name: &FunctionName) -> Option<ExecutionId> {
        let waiter = self.by_function.get(name)?.front()?;
        Some(waiter.execution.clone())
    }

    fn answer_head(&mut self, name: &FunctionName, answer: Answer) {
        let Some(queue) = self.by_function.get_mut(name) else {
            return;
        };
        if let Some(waiter) = queue.pop_front() {
            self.in_all -= 1;
            // The receiver is alive: a waiter that leaves removes itself under the lock first.
            let _ = waiter.answer.send(answer);
        }
        if queue.is_empty() {
            self.by_function.remove(name);
        }
    }

    /// Removes a waiter that gives up. `false`: it has been answered already.
    pub(crate) fn leave(&mut self, ticket: &Ticket) -> bool {
        let Some(queue) = self.by_function.get_mut(&ticket.function) else {
            return false;
        };
        let before = queue.len();
        queue.retain(|waiter| waiter.ticket != ticket.number);
        let left = queue.len() < before;
        if left {
            self.in_all -= 1;
        }
        if queue.is_empty() {
            self.by_function.remove(&ticket.function);
        }
        left
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.in_all
    }
}
