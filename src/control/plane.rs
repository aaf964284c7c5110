//! The control plane as one thing: puts its services together in order, and ends them in reverse.

use std::sync::Arc;

use thiserror::Error;

use super::agents::Agents;
use super::calls::Calls;
use super::contacts::Contacts;
use super::desired::Desired;
use super::dispatch::Dispatcher;
use super::enrolment::Enrolment;
use super::executions::Executions;
use super::fleet::{Fleet, QueueLimits};
use super::functions::Functions;
use super::health::{Health, HealthPolicy};
use super::idempotency::IdempotentCalls;
use super::janitor::{Chores, Janitor};
use super::links::Links;
use super::machines::Machines;
use super::news::News;
use crate::archive::ArchiveLimits;
use crate::base::cancel::Cancel;
use crate::base::clock::Clock;
use crate::base::threads::Supervisor;
use crate::config::server::{ServerConfig, ServerLimits};
use crate::host::Host;
use crate::pki::{Authority, PkiError};
use crate::rpc::tls::InvalidIdentity;
use crate::rpc::{Channels, TlsIdentity};
use crate::store::history::{HistoryStore, SqliteHistory};
use crate::store::{EmbeddedStore, Revision, Store, StoreError};

/// Calls that wait for room in all queues together: each holds a thread of the front door.
const MAX_WAITERS_IN_ALL: usize = 384;

/// Its services are its public face. Fields are dropped in order: those that talk first, the store
/// last.
pub(crate) struct ControlPlane {
    agents: Agents,
    _news: News,
    _janitor: Janitor,
    calls: Calls,
    executions: Arc<Executions>,
    functions: Functions,
    enrolment: Enrolment,
    machines: Machines,
    fleet: Arc<Fleet>,
    shutdown: Cancel,
    store: Arc<dyn Store>,
    history: Arc<dyn HistoryStore>,
}

/// Why the control plane does not start.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("cannot open the store")]
    Store(#[from] StoreError),
    #[error("cannot open the certificates")]
    Pki(#[from] PkiError),
    #[error("cannot prepare the connections to agents")]
    Identity(#[from] InvalidIdentity),
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
}

/// Why it is not ready.
#[derive(Debug, Error)]
pub(crate) enum NotReady {
    #[error("the control plane is shutting down")]
    ShuttingDown,
    /// The store does not answer.
    #[error("the control plane is not ready")]
    Store(#[from] StoreError),
}

impl ControlPlane {
    /// Opens the store and the certificates, reads what was there before, and starts to talk to
    /// the agents. Executions that run on them are left alone and found again.
    ///
    /// # Errors
    /// See [`StartError`].
    pub(crate) fn start(
        config: &ServerConfig,
        clock: &Clock,
        supervisor: &Supervisor,
    ) -> Result<ControlPlane, StartError> {
        let ground = Ground::open(config, clock, supervisor)?;
        let (store, history, fleet) = (&ground.store, &ground.history, &ground.fleet);
        let limits = &config.limits;
        let contacts = Contacts::start(
            ground.links,
            Arc::clone(history),
            Arc::clone(store),
            fleet,
            &ground.desired,
            config.retention.output_max,
            supervisor,
        )?;
        let executions = Arc::new(Executions::new(
            Arc::clone(fleet),
            contacts.clone(),
            Arc::clone(store),
            supervisor,
        ));
        let dispatcher = Dispatcher::new(
            Arc::clone(fleet),
            contacts.clone(),
            Arc::clone(store),
            clock.clone(),
            supervisor.shutdown(),
        );
        let keys = IdempotentCalls::new(
            Arc::clone(store),
            clock.clone(),
            limits.idempotency_retention,
        );
        let policy = health_policy(limits);
        let reach = Arc::new(contacts.clone());
        let health = Health::start(policy, Arc::clone(fleet), reach, clock.clone(), supervisor)?;
        let has_tls = !config.disable_grpc_tls;
        let agents = Agents::new(health, contacts.clone(), Arc::clone(fleet), has_tls);
        let news = News::follow(
            ground.read_since,
            Arc::clone(store),
            Arc::clone(fleet),
            Arc::clone(&ground.desired),
            contacts.clone(),
            clock.clone(),
            supervisor,
        )?;
        let chores = Chores::new(
            Arc::clone(store),
            Arc::clone(history),
            config.retention.clone(),
        );
        let port = config.agent_port;
        Ok(ControlPlane {
            agents,
            _news: news,
            _janitor: Janitor::start(chores, clock.clone(), supervisor)?,
            calls: Calls::new(dispatcher, keys, Arc::clone(&executions)),
            executions,
            functions: Functions::new(ground.desired, contacts.syncer),
            enrolment: Enrolment::new(ground.authority, Arc::clone(store), clock.clone(), port),
            machines: Machines::new(Host::new(clock.clone())),
            fleet: ground.fleet,
            shutdown: supervisor.shutdown(),
            store: ground.store,
            history: ground.history,
        })
    }

    /// The agents: listed, registered, drained, removed.
    pub(crate) fn agents(&self) -> &Agents {
        &self.agents
    }

    /// The functions and their versions.
    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Functions called.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// What came of calls: read, followed, listed, cancelled.
    pub(crate) fn executions(&self) -> &Executions {
        &self.executions
    }

    /// How agents get their certificates.
    pub(crate) fn enrolment(&self) -> &Enrolment {
        &self.enrolment
    }

    /// The machine of the control plane, and those that it makes.
    pub(crate) fn machines(&self) -> &Machines {
        &self.machines
    }

    /// Whether the store answers and the control plane serves.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn ready(&self) -> Result<(), NotReady> {
        if self.shutdown.is_pulled() {
            return Err(NotReady::ShuttingDown);
        }
        self.store.check()?;
        Ok(self.history.check()?)
    }

    /// Sends away who waits for room; what runs goes on.
    pub(crate) fn begin_shutdown(&self) {
        self.fleet.dismiss_waiters();
    }
}

/// What the services stand on: what was there before, read, with no thread and no connection yet.
struct Ground {
    store: Arc<dyn Store>,
    history: Arc<dyn HistoryStore>,
    /// None where agents are called in the clear.
    authority: Option<Arc<Authority>>,
    /// What is written after this is news.
    read_since: Revision,
    links: Links,
    fleet: Arc<Fleet>,
    desired: Arc<Desired>,
}

impl Ground {
    fn open(
        config: &ServerConfig,
        clock: &Clock,
        supervisor: &Supervisor,
    ) -> Result<Ground, StartError> {
        // The store first: its lock is the directory's.
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&config.state_dir)?);
        let history: Arc<dyn HistoryStore> = Arc::new(SqliteHistory::open(&config.state_dir)?);
        let authority = open_authority(config)?;
        let identity = authority.as_deref().map(identity_of).transpose()?;
        // Before anything is read: what is written meanwhile is news.
        let read_since = store.revision()?;
        let links = Links::new(Channels::new(identity, supervisor), clock.clone());
        let queues = QueueLimits {
            per_function: config.limits.queue_per_function as usize,
            in_all: MAX_WAITERS_IN_ALL,
        };
        let fleet = Fleet::load(Arc::clone(&store), clock.clone(), queues)?;
        let archive_limits = ArchiveLimits {
            max_archive_bytes: config.limits.archive_max.bytes(),
            ..ArchiveLimits::default()
        };
        let desired = Desired::load(
            Arc::clone(&store),
            Arc::clone(&fleet),
            clock.clone(),
            archive_limits,
        )?;
        Ok(Ground {
            store,
            history,
            authority,
            read_since,
            links,
            fleet,
            desired: Arc::new(desired),
        })
    }
}

fn health_policy(limits: &ServerLimits) -> HealthPolicy {
    HealthPolicy {
        interval: limits.heartbeat_interval,
        misses: limits.heartbeat_misses.get(),
    }
}

/// Who the control plane is to its agents.
fn identity_of(authority: &Authority) -> Result<TlsIdentity, InvalidIdentity> {
    let control = authority.control();
    TlsIdentity::new(&control.ca, &control.certificate, &control.key)
}

fn open_authority(config: &ServerConfig) -> Result<Option<Arc<Authority>>, PkiError> {
    if config.disable_grpc_tls {
        log::warn!(
            "disable_grpc_tls: agents are called in the clear; anyone on the way can read and command them"
        );
        return Ok(None);
    }
    Authority::open_or_create(&config.certs_dir).map(|authority| Some(Arc::new(authority)))
}
