//! A call whose connection broke, or whose client left: what became of its execution is its agent's to say.

use std::time::Duration;

use super::{DispatchError, Dispatcher, Offer};
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::control::fleet::{Reservation, WaitError};
use crate::model::ends::Settled;
use crate::model::execution::{Ending, Executed, ExecutionRecord};
use crate::model::ids::ExecutionId;
use crate::model::output::Output;
use crate::rpc::{AgentClient, RpcError};
use crate::store::Route;

/// How long to ask an agent whose connection broke, what became of the execution.
const SETTLE_TIME: Duration = Duration::from_secs(5);
/// Between two such questions.
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

impl Dispatcher {
    /// The connection broke while it ran: how did it end? Called lost without the agent's word, it
    /// could turn out a success that the agent had recorded just before, and an end never changes.
    pub(super) fn settle_end(
        &self,
        handed_over: &Route,
        client: &AgentClient,
        client_gone: &Cancel,
    ) -> Offer<Executed> {
        let id = &handed_over.execution;
        let mut deadline = self.clock.moment() + SETTLE_TIME;
        while self.clock.moment() < deadline {
            match self.contacts.records.settle(client, handed_over) {
                Ok(Settled::Ended(record)) => {
                    self.contacts.collector.ask(&handed_over.agent);
                    return Offer::Done(self.with_output(*record, client));
                }
                // It runs on, and its caller waits on.
                Ok(Settled::Running) => deadline = self.clock.moment() + SETTLE_TIME,
                Ok(Settled::Forgotten) => break,
                // The agent is not back yet.
                Err(error) => log::debug!("execution {id}: {}", with_causes(&error)),
            }
            if self.clock.wait(client_gone, SETTLE_PAUSE) {
                return self.answer_nobody(client, id);
            }
        }
        // So that whoever asks later hears what the agent has to say.
        self.store.put_route_lazily(handed_over);
        self.contacts.collector.ask_and_settle(&handed_over.agent);
        Offer::Failed(DispatchError::Unknown {
            agent: handed_over.agent.clone(),
            execution: id.clone(),
        })
    }

    /// Where it cannot be had in time, the answer says that it is not all; what there is comes home later.
    fn with_output(&self, record: ExecutionRecord, client: &AgentClient) -> Executed {
        let deadline = self.clock.moment() + SETTLE_TIME;
        let never = Cancel::never();
        loop {
            match client.get_execution(&record.id) {
                Ok(Some(executed)) => return executed,
                // Others take theirs meanwhile.
                Err(RpcError::NoRoom { .. }) if self.clock.moment() < deadline => {
                    self.clock.wait(&never, SETTLE_PAUSE);
                }
                Ok(None) | Err(_) => break,
            }
        }
        Executed {
            record: ExecutionRecord {
                truncated: record.truncated || record.is_missing_output(0),
                ..record
            },
            output: Output::default(),
        }
    }

    /// The client left. The agent confirms the tree's end; a cancel that comes too late changes
    /// nothing.
    pub(super) fn answer_nobody<T>(&self, client: &AgentClient, id: &ExecutionId) -> Offer<T> {
        // Cut off by us at the end of the drain: the execution is the agent's, and goes on.
        if self.shutdown.is_pulled() {
            return Offer::Failed(WaitError::ShuttingDown.into());
        }
        if let Err(error) = client.cancel(id) {
            let why = with_causes(&error);
            log::warn!("execution {id}: its client left, and it could not be cancelled: {why}");
        }
        self.contacts.collector.ask(client.agent());
        Offer::Failed(DispatchError::ClientGone)
    }

    /// The connection broke during the hand-over: has the agent got it? Its word is final; one that it
    /// has not got is not given to another one, where it would have two ends.
    pub(super) fn settle(
        &self,
        route: &Route,
        reservation: Reservation,
        client: &AgentClient,
    ) -> Offer<()> {
        let deadline = self.clock.moment() + SETTLE_TIME;
        let never = Cancel::never();
        while self.clock.moment() < deadline {
            match self.contacts.records.settle(client, route) {
                Ok(Settled::Running) => {
                    reservation.hand_over();
                    return Offer::Done(());
                }
                Ok(Settled::Ended(record)) => {
                    self.contacts.collector.ask(&route.agent);
                    if record.ending == Some(Ending::Lost) {
                        break;
                    }
                    return Offer::Done(());
                }
                Ok(Settled::Forgotten) => break,
                Err(_) => {
                    self.clock.wait(&never, SETTLE_PAUSE);
                }
            }
        }
        // While it is held, nobody asks the agent.
        drop(reservation);
        self.contacts.collector.ask_and_settle(&route.agent);
        Offer::Failed(DispatchError::Unknown {
            agent: route.agent.clone(),
            execution: route.execution.clone(),
        })
    }
}
