//! Runs an execution on some agent: takes a slot, calls the agent, follows up on what came of it.
//!
//! Invariants: an execution is handed to another agent only when it is certain that nothing
//! started; a 202 is given only after the route is stored here and the agent has stored the
//! work; the way of a synchronous call waits for no disk.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::calls::Call;
use super::contacts::Contacts;
use super::fleet::{Fleet, RefusedFor, Reservation, WaitError};
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::base::clock::Clock;
use crate::model::agent::AgentEvent;
use crate::model::execution::Executed;
use crate::model::ids::{AgentId, ExecutionId};
use crate::rpc::{AgentClient, RpcError};
use crate::store::{Route, Store, StoreError};
use crate::wire::error::ErrorKind;
use crate::wire::execute::{ExecuteRequest, Protocol};

mod settling;

/// How often an execution is offered, each time to the agent with the most room, before the call
/// is refused. A refusal by the agent teaches the fleet, so more rounds than this mean that
/// agents and control plane disagree about something that trying again does not mend.
const MAX_OFFERS: u32 = 16;

pub(crate) struct Dispatcher {
    fleet: Arc<Fleet>,
    contacts: Contacts,
    store: Arc<dyn Store>,
    clock: Clock,
    shutdown: Cancel,
}

/// Why an execution was not run, or its end is not known.
#[derive(Debug, Error)]
pub(crate) enum DispatchError {
    /// No slot was to be had.
    #[error(transparent)]
    NoSlot(#[from] WaitError),
    /// Agents refused it as invalid: the same everywhere.
    #[error("the agent refused the call: {0}")]
    Invalid(String),
    /// Offered again and again without success; the last refusal.
    #[error("no agent took the execution: {0}")]
    NotTaken(String),
    /// The connection broke while it was handed over or ran, and the agent cannot be asked.
    #[error("agent {agent} may or may not have run execution {execution}")]
    Unknown {
        /// Where it may run.
        agent: AgentId,
        execution: ExecutionId,
    },
    /// The client left, and the execution was cancelled.
    #[error("the client left")]
    ClientGone,
    /// The store failed before anything was started.
    #[error("the route could not be written")]
    Store(#[from] StoreError),
}

/// What one offer came to.
enum Offer<T> {
    Done(T),
    /// Nothing started there; another agent may take it.
    Again(String),
    Failed(DispatchError),
}

impl Dispatcher {
    /// `shutdown`: from its pull on, a client that is cut off is no client that left.
    pub(crate) fn new(
        fleet: Arc<Fleet>,
        contacts: Contacts,
        store: Arc<dyn Store>,
        clock: Clock,
        shutdown: Cancel,
    ) -> Dispatcher {
        Dispatcher {
            fleet,
            contacts,
            store,
            clock,
            shutdown,
        }
    }

    /// Runs it and returns once it has ended. An execution whose agent was restarted meanwhile ends
    /// as the agent says, or as lost; while the agent cannot be asked, nobody knows.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub(crate) fn run(&self, id: &ExecutionId, call: &Call) -> Result<Executed, DispatchError> {
        self.offer(id, call, |reservation, client, request| {
            self.run_there(call, reservation, client, request)
        })
    }

    /// Hands it to an agent and returns once both sides have it on disk.
    ///
    /// # Errors
    /// See [`DispatchError`].
    pub(crate) fn start(&self, id: &ExecutionId, call: &Call) -> Result<(), DispatchError> {
        self.offer(id, call, |reservation, client, request| {
            self.start_there(reservation, client, request)
        })
    }

    fn offer<T>(
        &self,
        id: &ExecutionId,
        call: &Call,
        mut attempt: impl FnMut(Reservation, &AgentClient, ExecuteRequest) -> Offer<T>,
    ) -> Result<T, DispatchError> {
        let began = self.clock.moment();
        let mut last = String::new();
        for _ in 0..MAX_OFFERS {
            let reservation = self.fleet.acquire(&call.function, id, &call.client_gone)?;
            let client = match self.contacts.links.client_at(
                reservation.agent(),
                reservation.address(),
                reservation.tls(),
            ) {
                Ok(client) => client,
                Err(error) => {
                    last = with_causes(&error);
                    self.lost_touch(reservation.agent(), &error);
                    continue;
                }
            };
            let request = request(id, call, &reservation, self.clock.moment().since(began));
            match attempt(reservation, &client, request) {
                Offer::Done(done) => return Ok(done),
                Offer::Again(reason) => last = reason,
                Offer::Failed(error) => return Err(error),
            }
        }
        Err(DispatchError::NotTaken(last))
    }

    fn run_there(
        &self,
        call: &Call,
        reservation: Reservation,
        client: &AgentClient,
        request: ExecuteRequest,
    ) -> Offer<Executed> {
        let id = request.id.clone();
        let agent = reservation.agent().clone();
        let accepted_at = self.clock.now();
        let timeout = reservation.current().config.timeout_of_call(call.timeout);
        let pending = match client.start_execute(request, timeout, accepted_at) {
            Ok(pending) => pending,
            Err(error) => return self.turned_down(&id, reservation, &error),
        };
        let Some(answer) = pending.wait(&call.client_gone) else {
            return self.answer_nobody(client, &id);
        };
        match answer {
            Ok(executed) => {
                self.contacts
                    .records
                    .keep_answer(&executed, call.idempotency_key.is_some());
                Offer::Done(executed)
            }
            Err(
                error @ (RpcError::Interrupted { .. }
                | RpcError::NoRoom { .. }
                | RpcError::Deadline),
            ) => {
                let why = with_causes(&error);
                log::warn!("execution {id}: agent {agent}, while it ran: {why}");
                if !matches!(error, RpcError::NoRoom { .. }) {
                    self.touch_failed(&agent);
                }
                if let RpcError::Deadline = error
                    && let Err(error) = client.cancel(&id)
                {
                    let why = with_causes(&error);
                    log::warn!("execution {id}: over its time, and not cancelled: {why}");
                }
                let handed_over = Route {
                    execution: id,
                    agent,
                    function: call.function.clone(),
                    accepted_at,
                };
                self.settle_end(&handed_over, client, &call.client_gone)
            }
            Err(error) => self.turned_down(&id, reservation, &error),
        }
    }

    fn start_there(
        &self,
        reservation: Reservation,
        client: &AgentClient,
        request: ExecuteRequest,
    ) -> Offer<()> {
        let id = request.id.clone();
        let agent = reservation.agent().clone();
        // First the route, then the work: whatever dies in between, somebody can tell what became of it.
        let route = Route {
            execution: id.clone(),
            agent: agent.clone(),
            function: request.function.clone(),
            accepted_at: self.clock.now(),
        };
        if let Err(error) = self.store.put_route(&route) {
            return Offer::Failed(error.into());
        }
        let accepted = client
            .start_execute(
                ExecuteRequest {
                    asynchronous: true,
                    ..request
                },
                None,
                self.clock.now(),
            )
            .and_then(|pending| {
                pending
                    .wait(&Cancel::never())
                    .unwrap_or(Err(RpcError::Deadline))
            });
        match accepted {
            Ok(_) => {
                reservation.hand_over();
                Offer::Done(())
            }
            Err(error @ (RpcError::Interrupted { .. } | RpcError::Deadline)) => {
                log::warn!("execution {id}: agent {agent}: {}", with_causes(&error));
                self.touch_failed(&agent);
                self.settle(&route, reservation, client)
            }
            // Whether it started is unknown: the route stays until the agent is asked, which is not while its
            // slot is held.
            Err(
                error @ (RpcError::Answer(_) | RpcError::NoRoom { .. } | RpcError::Status { .. }),
            ) => {
                let unknown = self.turned_down(&id, reservation, &error);
                self.contacts.collector.ask_and_settle(&agent);
                unknown
            }
            Err(error) => {
                // While its slot is held nobody asks that agent what became of it. Without one, the call may wait
                // for another agent, and must not be settled as lost by the one that turned it down.
                if let Err(error) = self.store.forget_routes(std::slice::from_ref(&id)) {
                    // Left behind it is harmless: the execution is settled as lost.
                    return Offer::Failed(error.into());
                }
                self.turned_down(&id, reservation, &error)
            }
        }
    }

    /// The agent, or the way to it, refused.
    fn turned_down<T>(
        &self,
        id: &ExecutionId,
        reservation: Reservation,
        error: &RpcError,
    ) -> Offer<T> {
        let agent = reservation.agent().clone();
        match error {
            RpcError::Refused(refusal) => match refusal.kind {
                ErrorKind::FunctionAtCapacity => reservation.turn_down(RefusedFor::Function),
                ErrorKind::AgentAtCapacity
                | ErrorKind::Draining
                | ErrorKind::Busy
                | ErrorKind::Storage => reservation.turn_down(RefusedFor::Everything),
                ErrorKind::FunctionNotFound
                | ErrorKind::FunctionNotDeployed
                | ErrorKind::FunctionOutOfDate => {
                    self.fleet.disprove_held(&agent, reservation.current());
                    self.contacts.syncer.request(&agent);
                }
                ErrorKind::Invalid
                | ErrorKind::ExecutionExists
                | ErrorKind::ExecutionNotFound
                | ErrorKind::ArchiveRefused
                | ErrorKind::NoUserLeft
                | ErrorKind::NotAuthorised => {
                    return Offer::Failed(DispatchError::Invalid(refusal.message.clone()));
                }
            },
            RpcError::Unreachable => self.lost_touch(&agent, error),
            RpcError::Rejected { .. }
            | RpcError::Unimplemented
            | RpcError::TooLarge { .. }
            | RpcError::Address(_)
            | RpcError::NoIdentity
            | RpcError::Tls(_)
            | RpcError::Source(_) => {
                return Offer::Failed(DispatchError::Invalid(with_causes(error)));
            }
            // Whether it started is unknown, so it is not said to be refused either: a caller with
            // an idempotency key would start it again.
            RpcError::Interrupted { .. }
            | RpcError::NoRoom { .. }
            | RpcError::Deadline
            | RpcError::Answer(_)
            | RpcError::Garbled { .. }
            | RpcError::Status { .. } => {
                log::error!("execution {id}: agent {agent}: {}", with_causes(error));
                return Offer::Failed(DispatchError::Unknown {
                    agent,
                    execution: id.clone(),
                });
            }
        }
        Offer::Again(with_causes(error))
    }

    fn lost_touch(&self, agent: &AgentId, error: &RpcError) {
        log::warn!("agent {agent}: {}", with_causes(error));
        self.touch_failed(agent);
    }

    /// A failed dial is as good as all the missed probes: no further call should run into it.
    fn touch_failed(&self, agent: &AgentId) {
        self.fleet.record_miss(agent);
        if let Err(error) = self.fleet.transition(agent, AgentEvent::Missed) {
            log::debug!("agent {agent}: {}", with_causes(&error));
        }
    }
}

fn request(
    id: &ExecutionId,
    call: &Call,
    reservation: &Reservation,
    queued: Duration,
) -> ExecuteRequest {
    let current = reservation.current();
    ExecuteRequest {
        id: id.clone(),
        function: call.function.clone(),
        args: call.args.clone(),
        stdin: call.stdin.clone(),
        env: call.env.clone(),
        asynchronous: false,
        protocol: Protocol::Flux,
        timeout: call.timeout,
        version: current.code.as_ref().map(|code| code.version),
        queued,
        config_digest: Some(current.config_digest.clone()),
    }
}
