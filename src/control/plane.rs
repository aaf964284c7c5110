//! The control plane as one thing: starts its services in order, carries out commands, ends in
//! reverse.

use std::sync::Arc;

use thiserror::Error;

use super::command::{Answer, Call, Command};
use super::dispatch::{DispatchError, Dispatcher};
use super::enrolment::Enrolment;
use super::error::ControlError;
use super::executions::Executions;
use super::feed::Feeds;
use super::fleet::{Fleet, FleetError, QueueLimits};
use super::functions::Functions;
use super::health::{Health, HealthPolicy};
use super::idempotency::{self, Begun, Guard, IdempotentCalls, Mode};
use super::janitor::Janitor;
use super::links::Links;
use super::registration;
use super::sync::Syncer;
use crate::archive::ArchiveLimits;
use crate::base::threads::Supervisor;
use crate::config::server::ServerConfig;
use crate::host::Host;
use crate::model::agent::AgentEvent;
use crate::model::execution::Executed;
use crate::model::function::Function;
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::pki::{Authority, PkiError};
use crate::rpc::tls::InvalidIdentity;
use crate::rpc::{Channels, TlsIdentity};
use crate::store::{ArchiveUpload, EmbeddedStore, Store, StoreError, StoredAnswer};
use crate::wire::error::WireError;
use crate::wire::json::RecordJson;

/// Calls that wait for room in all queues together: each holds a thread of the front door.
const MAX_WAITERS_IN_ALL: usize = 384;

/// See the module's text. Fields are dropped in order: those that talk first, the store last.
pub struct ControlPlane {
    health: Health,
    _janitor: Janitor,
    feeds: Arc<Feeds>,
    dispatcher: Dispatcher,
    executions: Arc<Executions>,
    syncer: Arc<Syncer>,
    functions: Arc<Functions>,
    enrolment: Enrolment,
    idempotent: IdempotentCalls,
    fleet: Arc<Fleet>,
    links: Arc<Links>,
    host: Host,
    agents_use_tls: bool,
    supervisor: Supervisor,
    store: Arc<dyn Store>,
}

/// Why the control plane does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store.
    #[error("open the store")]
    Store(#[from] StoreError),
    /// The certificates.
    #[error("open the certificates")]
    Pki(#[from] PkiError),
    /// The gRPC client.
    #[error("prepare the connections to agents")]
    Identity(#[from] InvalidIdentity),
    /// No thread.
    #[error("start a thread")]
    Thread(#[from] std::io::Error),
}

impl ControlPlane {
    /// Opens the store and the certificates, reads what was there before, and starts to talk to
    /// the agents. Executions that run on them are left alone and found again.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        config: &ServerConfig,
        supervisor: &Supervisor,
    ) -> Result<ControlPlane, StartError> {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&config.state_dir)?);
        let authority = if config.disable_grpc_tls {
            log::warn!(
                "disable_grpc_tls: agents are called in the clear; anyone on the way can read and command them"
            );
            None
        } else {
            Some(Arc::new(Authority::open_or_create(&config.certs_dir)?))
        };
        let identity = authority
            .as_ref()
            .map(|authority| {
                let control = authority.control();
                TlsIdentity::new(&control.ca, &control.certificate, &control.key)
            })
            .transpose()?;
        let links = Arc::new(Links::new(Channels::new(identity)));
        let limits = &config.limits;
        let fleet = Fleet::load(
            Arc::clone(&store),
            QueueLimits {
                per_function: limits.queue_per_function as usize,
                in_all: MAX_WAITERS_IN_ALL,
            },
        )?;
        let archive_limits = ArchiveLimits {
            max_archive_bytes: limits.archive_max.bytes(),
            ..ArchiveLimits::default()
        };
        let functions = Arc::new(Functions::load(
            Arc::clone(&store),
            Arc::clone(&fleet),
            archive_limits,
        )?);
        let syncer = Arc::new(Syncer::new(
            Arc::clone(&fleet),
            Arc::clone(&functions),
            Arc::clone(&links),
            supervisor,
        ));
        let executions = Arc::new(Executions::new(
            Arc::clone(&fleet),
            Arc::clone(&links),
            Arc::clone(&store),
            limits.record_retention,
            supervisor,
        ));
        let feeds = Feeds::start(
            Arc::clone(&fleet),
            Arc::clone(&links),
            Arc::clone(&executions),
            supervisor,
        )?;
        let health = Health::start(
            HealthPolicy {
                interval: limits.heartbeat_interval,
                misses: limits.heartbeat_misses.get(),
            },
            Arc::clone(&fleet),
            Arc::clone(&links),
            Arc::clone(&syncer),
            Arc::clone(&feeds),
            supervisor,
        )?;
        Ok(ControlPlane {
            health,
            _janitor: Janitor::start(Arc::clone(&store), supervisor)?,
            feeds,
            dispatcher: Dispatcher::new(
                Arc::clone(&fleet),
                Arc::clone(&links),
                Arc::clone(&syncer),
                Arc::clone(&store),
                supervisor.shutdown(),
            ),
            executions,
            syncer,
            functions,
            enrolment: Enrolment::new(authority, Arc::clone(&store), config.agent_port),
            idempotent: IdempotentCalls::new(Arc::clone(&store), limits.idempotency_retention),
            fleet,
            links,
            host: Host::new(),
            agents_use_tls: !config.disable_grpc_tls,
            supervisor: supervisor.clone(),
            store,
        })
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// See [`ControlError`]; nothing has changed then unless its text says otherwise.
    pub fn handle(&self, command: Command) -> Result<Answer, ControlError> {
        Ok(match command {
            Command::Ready => self.ready()?,
            Command::ListAgents => Answer::Agents(self.fleet.list()),
            Command::RegisterAgent { address, tls } => self.register_agent(&address, tls)?,
            Command::EnrollAgent(agent) => {
                let (token, expires_at) = self.enrolment.enroll(&agent)?;
                Answer::Enrolled {
                    agent,
                    token,
                    expires_at,
                }
            }
            Command::JoinAgent(request) => Answer::Joined(Box::new(self.enrolment.join(&request)?)),
            Command::DrainAgent { id, drain } => self.drain_agent(&id, drain)?,
            Command::RemoveAgent(id) => self.remove_agent(&id)?,
            Command::Initialize => return Err(ControlError::NoProvider),
            // Machines are made by providers only, and none is configured.
            Command::RemoveNodes => Answer::NodesRemoved(0),
            Command::Resources => Answer::Resources {
                flux: self.host.status(0, 0),
                agents: self.fleet.list(),
            },
            Command::RegisterFunction(config) => {
                let function = self.functions.register(&config)?;
                self.distributed(function)
            }
            Command::ListFunctions => Answer::Functions(self.functions.list()),
            Command::GetFunction(name) => Answer::Function(Box::new(self.functions.get(&name)?)),
            Command::DeleteFunction(name) => {
                self.functions.delete(&name)?;
                self.syncer.distribute(&name);
                Answer::Removed
            }
            Command::ListVersions(name) => {
                let (function, versions) = self.functions.versions(&name)?;
                Answer::Versions {
                    function: Box::new(function),
                    versions,
                }
            }
            Command::Rollback { name, version } => {
                let function = self.functions.rollback(&name, version)?;
                self.distributed(function)
            }
            Command::Deploy { name, upload } => {
                let function = self.functions.deploy(&name, upload)?;
                self.distributed(function)
            }
            Command::Execute(call) => self.execute(&call)?,
            Command::ExecuteAsync(call) => self.execute_async(&call)?,
            Command::GetExecution(id) => Answer::Execution(Box::new(self.executions.get(&id)?)),
            Command::ListExecutions(listing) => {
                let (records, next, unreachable) = self.executions.list(&listing);
                Answer::Executions {
                    records,
                    next,
                    unreachable,
                }
            }
            Command::ReadOutput { id, stream, offset } => {
                let piece = self.executions.read_output(&id, stream, offset)?;
                Answer::Output {
                    data: piece.data,
                    total: piece.total,
                    ended: piece.ended,
                }
            }
            Command::FollowExecution {
                id,
                offset,
                client_gone,
            } => Answer::Follow(Box::new(self.executions.follow(
                &id,
                offset,
                client_gone,
            )?)),
            Command::CancelExecution(id) => {
                self.executions.cancel(&id)?;
                Answer::Cancelled(id)
            }
        })
    }

    /// A place to stream an archive for `name` into, before its bytes have come.
    ///
    /// # Errors
    /// An unknown function; the store's.
    pub fn start_upload(&self, name: &FunctionName) -> Result<ArchiveUpload, ControlError> {
        self.functions.get(name)?;
        Ok(self.functions.start_upload()?)
    }

    /// Whether a token of that id waits to be redeemed, asked before anything of a request that
    /// carries no key is read.
    ///
    /// # Errors
    /// An unknown, used or expired token; the store's.
    pub fn expect_token(&self, id: &str) -> Result<(), ControlError> {
        self.enrolment.expect_token(id)
    }

    /// How large an archive may be, in bytes.
    pub fn archive_limit(&self) -> u64 {
        self.functions.archive_limit()
    }

    /// Sends away who waits for room; what runs goes on.
    pub fn begin_shutdown(&self) {
        self.fleet.dismiss_waiters();
    }

    fn ready(&self) -> Result<Answer, ControlError> {
        if self.supervisor.shutdown().is_pulled() {
            return Err(ControlError::ShuttingDown);
        }
        self.store.check()?;
        Ok(Answer::Ready)
    }

    fn distributed(&self, function: Function) -> Answer {
        let agents = self.syncer.distribute(&function.config.name);
        Answer::Distributed {
            function: Box::new(function),
            agents,
        }
    }

    fn register_agent(&self, address: &str, tls: Option<bool>) -> Result<Answer, ControlError> {
        let tls = tls.unwrap_or(self.agents_use_tls);
        let (agent, node) = registration::identify(&self.links, address, tls)?;
        let id = agent.id.clone();
        let view = self.fleet.register(agent, node)?;
        self.health.probe_now(&id);
        Ok(Answer::Agent(Box::new(view)))
    }

    fn drain_agent(&self, id: &AgentId, drain: bool) -> Result<Answer, ControlError> {
        let event = if drain {
            AgentEvent::Drain
        } else {
            AgentEvent::Undrain
        };
        self.fleet.transition(id, event)?;
        let view = self
            .fleet
            .get(id)
            .ok_or_else(|| FleetError::UnknownAgent(id.clone()))?;
        // The fleet's state already keeps traffic away; telling the agent keeps others' away too.
        if let Err(error) = self
            .links
            .client(&view.agent)
            .and_then(|client| client.drain(drain))
        {
            log::info!("agent {id}: not told of the drain: {error}");
        }
        if !drain {
            // What it said while it drained stands until it is asked again.
            self.health.probe_now(id);
            self.syncer.request(id);
        }
        Ok(Answer::Agent(Box::new(view)))
    }

    fn remove_agent(&self, id: &AgentId) -> Result<Answer, ControlError> {
        self.fleet.transition(id, AgentEvent::Removed)?;
        self.executions.orphan(id);
        self.feeds.forget(id);
        self.syncer.forget(id);
        self.links.forget(id);
        Ok(Answer::Removed)
    }

    fn execute(&self, call: &Call) -> Result<Answer, ControlError> {
        self.with_key(
            Mode::Sync,
            call,
            |id| {
                let execution = self.dispatcher.run(id, call)?;
                let stored = idempotency::ended_answer(&execution)?;
                Ok((Answer::Ended(Box::new(execution)), stored))
            },
            |execution| match self.executions.get(execution) {
                Ok(execution) if execution.record.ending.is_some() => Ok(Some(execution)),
                Ok(execution) => Err(ControlError::IdempotencyPending(execution.record.id)),
                // Whether it ever started, nobody can tell any more; it must not start again.
                Err(ControlError::ExecutionNotFound(id)) => {
                    Err(ControlError::IdempotencyUnsettled(id))
                }
                Err(error) => Err(error),
            },
            |settled| {
                let stored = idempotency::ended_answer(&settled)?;
                Ok((Answer::Ended(Box::new(settled)), stored))
            },
        )
    }

    fn execute_async(&self, call: &Call) -> Result<Answer, ControlError> {
        self.with_key(
            Mode::Async,
            call,
            |id| {
                self.dispatcher.start(id, call)?;
                Ok((
                    Answer::Accepted(id.clone()),
                    idempotency::accepted_answer(id),
                ))
            },
            |execution| match self.executions.get(execution) {
                Ok(found) => Ok(Some(found)),
                // Its route is stored before anything starts: without one, nothing has.
                Err(ControlError::ExecutionNotFound(_)) => Ok(None),
                Err(error) => Err(error),
            },
            |settled| {
                let id = settled.record.id;
                let stored = idempotency::accepted_answer(&id);
                Ok((Answer::Accepted(id), stored))
            },
        )
    }

    /// Runs a call at most once for its key. `settle` says what became of an execution whose
    /// answer is not stored; `None` = it never started, and starts now under its first id.
    fn with_key(
        &self,
        mode: Mode,
        call: &Call,
        run: impl Fn(&ExecutionId) -> Result<(Answer, StoredAnswer), ControlError>,
        settle: impl Fn(&ExecutionId) -> Result<Option<Executed>, ControlError>,
        answer: impl Fn(Executed) -> Result<(Answer, StoredAnswer), ControlError>,
    ) -> Result<Answer, ControlError> {
        let id = ExecutionId::generate();
        let Some(key) = &call.idempotency_key else {
            return run(&id).map(|(answer, _)| answer);
        };
        match self.idempotent.begin(key, mode, call, &id)? {
            Begun::First(guard) => run_guarded(guard, &id, run),
            Begun::Answered(stored) => replay(mode, &stored.body),
            Begun::Unsettled(first) => match settle(&first)? {
                None => run_guarded(self.idempotent.resume(key, call, &first), &first, run),
                Some(execution) => {
                    let (answer, stored) = answer(execution)?;
                    self.idempotent
                        .resume(key, call, &first)
                        .answered(&stored)?;
                    Ok(answer)
                }
            },
        }
    }
}

fn run_guarded(
    guard: Guard<'_>,
    id: &ExecutionId,
    run: impl Fn(&ExecutionId) -> Result<(Answer, StoredAnswer), ControlError>,
) -> Result<Answer, ControlError> {
    match run(id) {
        Ok((answer, stored)) => {
            guard.answered(&stored)?;
            Ok(answer)
        }
        Err(error) => {
            if nothing_started(&error) {
                guard.abandon();
            }
            Err(error)
        }
    }
}

/// Whether the key may be used again after this failure.
fn nothing_started(error: &ControlError) -> bool {
    match error {
        ControlError::Dispatch(
            DispatchError::NoSlot(_)
            | DispatchError::Invalid(_)
            | DispatchError::NotTaken(_)
            | DispatchError::Store(_),
        ) => true,
        ControlError::Dispatch(DispatchError::Unknown { .. } | DispatchError::ClientGone) => false,
        _ => false,
    }
}

fn replay(mode: Mode, body: &[u8]) -> Result<Answer, ControlError> {
    match mode {
        Mode::Sync => {
            // The record names its agent itself; this stands in for one that does not.
            let asked = AgentId::new("unknown").map_err(WireError::from)?;
            let executed = RecordJson::decode(body)?.into_executed(&asked)?;
            Ok(Answer::Ended(Box::new(executed)))
        }
        Mode::Async => {
            let text = String::from_utf8_lossy(body);
            let id = ExecutionId::new(&text).map_err(WireError::from)?;
            Ok(Answer::Accepted(id))
        }
    }
}
