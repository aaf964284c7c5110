//! A call in the queue, from its place to a slot or to the end of its patience.

use std::sync::Arc;

use crossbeam_channel::select;

use super::queue::{Answer, Ticket, WaitError};
use super::reservation::Reservation;
use super::roster::Fleet;
use crate::base::cancel::Cancel;
use crate::base::clock::Moment;
use crate::model::ids::ExecutionId;

/// What a call got at once.
#[derive(Debug)]
pub(crate) enum Place {
    Taken(Reservation),
    /// A place in the queue.
    InQueue(Waiting),
}

/// A place in the queue. Dropped, it is given up, with the slot that it may have been given.
#[derive(Debug)]
pub(crate) struct Waiting {
    fleet: Arc<Fleet>,
    ticket: Ticket,
    execution: ExecutionId,
    since: Moment,
    deadline: Moment,
    is_over: bool,
}

impl Waiting {
    pub(super) fn new(fleet: Arc<Fleet>, ticket: Ticket, execution: ExecutionId) -> Waiting {
        let since = fleet.clock().moment();
        Waiting {
            deadline: since + ticket.patience,
            since,
            fleet,
            ticket,
            execution,
            is_over: false,
        }
    }

    /// When it is to be looked at again if nothing comes before.
    #[cfg(test)]
    pub(crate) fn deadline(&self) -> Moment {
        self.deadline
    }

    /// What it has come to by now; `None` while it waits on.
    #[cfg(test)]
    pub(crate) fn look(&mut self) -> Option<Result<Reservation, WaitError>> {
        match self.ticket.answer.try_recv() {
            Ok(answer) => Some(self.answered(answer)),
            Err(crossbeam_channel::TryRecvError::Disconnected) => {
                Some(self.answered(Err(WaitError::ShuttingDown)))
            }
            Err(crossbeam_channel::TryRecvError::Empty)
                if self.fleet.clock().moment() < self.deadline =>
            {
                None
            }
            Err(crossbeam_channel::TryRecvError::Empty) => self.at_deadline(),
        }
    }

    /// Waits until it has come to something, or the client leaves.
    pub(super) fn wait(mut self, client_gone: &Cancel) -> Result<Reservation, WaitError> {
        loop {
            let come_to = select! {
                recv(self.ticket.answer) -> answer => {
                    Some(self.answered(answer.unwrap_or(Err(WaitError::ShuttingDown))))
                },
                recv(client_gone.receiver()) -> _ => return Err(WaitError::ClientGone),
                recv(self.fleet.clock().alarm(self.deadline)) -> _ => self.at_deadline(),
            };
            if let Some(result) = come_to {
                return result;
            }
        }
    }

    /// What is short now may be worth a longer wait than what was short at first.
    fn at_deadline(&mut self) -> Option<Result<Reservation, WaitError>> {
        let (reason, patience) = self.fleet.reconsider(&self.ticket.function);
        if self.since + patience > self.deadline {
            self.deadline = self.since + patience;
            return None;
        }
        if !self.fleet.leave(&self.ticket) {
            // Answered just now: a slot is worth using.
            let answer = self.ticket.answer.recv();
            return Some(self.answered(answer.unwrap_or(Err(WaitError::ShuttingDown))));
        }
        self.is_over = true;
        let waited = self.fleet.clock().moment().since(self.since);
        Some(Err(WaitError::WaitedTooLong { reason, waited }))
    }

    fn answered(&mut self, answer: Answer) -> Result<Reservation, WaitError> {
        self.is_over = true;
        answer.map(|placed| self.fleet.reserve(placed, &self.execution))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_over || self.fleet.leave(&self.ticket) {
            return;
        }
        // It was given a slot that nobody will use.
        if let Ok(Ok(placed)) = self.ticket.answer.try_recv() {
            self.fleet.vacate(&placed.agent, &self.execution);
        }
    }
}
