//! Brings agents to the desired functions: desired state against actual state, always.
//!
//! A pass asks the agent what it holds, gives it what it lacks and removes what nobody wants; the
//! agent gets traffic after it, for exactly those functions that it holds in their current form.
//! One function that an agent cannot take does not keep it from the others.
//! Invariant: one pass or push at a time for each agent.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::bounded;
use thiserror::Error;

use super::desired::Desired;
use super::fleet::{Current, Fleet, Held};
use super::links::Links;
use crate::base::causes::with_causes;
use crate::base::pool::{Pool, PoolLimits};
use crate::base::threads::{Supervisor, lock};
use crate::model::agent::{AgentEvent, AgentState};
use crate::model::ids::{AgentId, Digest, FunctionName};
use crate::rpc::release::OutgoingRelease;
use crate::rpc::{AgentClient, RpcError};
use crate::store::{ArchiveReader, StoreError};

/// Threads that talk to agents about functions. A fleet of hundreds is brought up to date in
/// waves of this size.
const SYNC_POOL: PoolLimits = PoolLimits {
    threads: 32,
    queued: 8192,
    idle: Duration::from_secs(10),
};

/// How often a pass starts over because functions changed while it ran, before it lets the agent
/// have traffic for what it holds: under a stream of deploys it would else never come online.
const MAX_ROUNDS: u32 = 5;

pub(crate) struct Syncer {
    shared: Arc<Shared>,
    pool: Pool,
}

struct Shared {
    fleet: Arc<Fleet>,
    desired: Arc<Desired>,
    links: Arc<Links>,
    agents: Mutex<HashMap<AgentId, Arc<AgentTurn>>>,
}

/// Serialises what is done to one agent, and keeps passes from piling up behind it.
#[derive(Default)]
struct AgentTurn {
    busy: Mutex<()>,
    requested: Mutex<bool>,
}

/// What became of a change on one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentOutcome {
    pub agent: AgentId,
    pub status: OutcomeStatus,
    /// What happened, in words for people.
    pub message: String,
}

/// How a change went on one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutcomeStatus {
    /// The agent holds it.
    Success,
    /// The agent refused it, or the call failed; it is tried again.
    Failed,
    /// The agent is away and gets it when it returns.
    Pending,
}

impl OutcomeStatus {
    /// As it stands in answers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            OutcomeStatus::Success => "success",
            OutcomeStatus::Failed => "failed",
            OutcomeStatus::Pending => "pending",
        }
    }
}

/// Why one function could not be brought to one agent.
#[derive(Debug, Error)]
enum PushError {
    #[error("the agent could not be given it")]
    Rpc(#[from] RpcError),
    #[error("the archive cannot be read from the store")]
    Store(#[from] StoreError),
    #[error("the archive is missing from the store: deploy the function again")]
    ArchiveMissing,
}

impl Syncer {
    /// No pass runs before one is asked for.
    pub(crate) fn new(
        fleet: Arc<Fleet>,
        desired: Arc<Desired>,
        links: Arc<Links>,
        supervisor: &Supervisor,
    ) -> Syncer {
        Syncer {
            shared: Arc::new(Shared {
                fleet,
                desired,
                links,
                agents: Mutex::new(HashMap::new()),
            }),
            pool: Pool::new("sync", SYNC_POOL, supervisor),
        }
    }

    /// Asks for a pass over one agent; several requests before it starts are one.
    pub(crate) fn request(&self, agent: &AgentId) {
        let turn = self.shared.turn(agent);
        if std::mem::replace(&mut *lock(&turn.requested), true) {
            return;
        }
        let (shared, id) = (Arc::clone(&self.shared), agent.clone());
        let for_job = Arc::clone(&turn);
        let accepted = self.pool.submit(move || {
            let _busy = lock(&for_job.busy);
            *lock(&for_job.requested) = false;
            shared.pass(&id);
        });
        if accepted.is_err() {
            // The next probe asks again.
            *lock(&turn.requested) = false;
        }
    }

    /// Brings one function, as it is now, to every agent, in parallel; returns when each has it,
    /// failed or is known to be away.
    pub(crate) fn distribute(&self, function: &FunctionName) -> Vec<AgentOutcome> {
        let agents = self.shared.fleet.list();
        let (sender, outcomes) = bounded(agents.len());
        let mut results = Vec::with_capacity(agents.len());
        for view in agents {
            let id = view.agent.id;
            if matches!(
                view.agent.state,
                AgentState::Offline | AgentState::Provisioning
            ) {
                results.push(AgentOutcome {
                    agent: id,
                    status: OutcomeStatus::Pending,
                    message: "the agent is not reachable and gets it when it returns".to_owned(),
                });
                continue;
            }
            let (shared, sender, name) =
                (Arc::clone(&self.shared), sender.clone(), function.clone());
            let for_job = id.clone();
            let accepted = self.pool.submit(move || {
                let turn = shared.turn(&for_job);
                let _busy = lock(&turn.busy);
                let outcome = outcome(&for_job, shared.bring(&for_job, &name));
                // Nobody listens any more only if the receiver's thread is unwinding.
                let _ = sender.send(outcome);
            });
            if accepted.is_err() {
                results.push(AgentOutcome {
                    agent: id,
                    status: OutcomeStatus::Pending,
                    message: "too many changes at once; the agent gets it shortly".to_owned(),
                });
            }
        }
        drop(sender);
        results.extend(outcomes);
        results.sort_by(|a, b| a.agent.cmp(&b.agent));
        results
    }

    /// Forgets what it kept for a removed agent.
    pub(crate) fn forget(&self, agent: &AgentId) {
        lock(&self.shared.agents).remove(agent);
    }
}

/// Whether the connection is gone, so that trying the next function makes no sense. One function
/// that takes too long, or cuts its own call off, does not keep the agent from the others.
fn broke_off(error: &RpcError, client: &AgentClient) -> bool {
    match error {
        RpcError::Unreachable => true,
        RpcError::Interrupted { .. } | RpcError::Deadline => client.health().is_err(),
        RpcError::Refused(_)
        | RpcError::Rejected { .. }
        | RpcError::Unimplemented
        | RpcError::TooLarge { .. }
        | RpcError::Address(_)
        | RpcError::NoIdentity
        | RpcError::Tls(_)
        | RpcError::Source(_)
        | RpcError::Answer(_)
        | RpcError::NoRoom { .. }
        | RpcError::Garbled { .. }
        | RpcError::Status { .. } => false,
    }
}

fn outcome(agent: &AgentId, result: Result<String, PushError>) -> AgentOutcome {
    let (status, message) = match result {
        Ok(remark) => (OutcomeStatus::Success, remark),
        Err(error) => (OutcomeStatus::Failed, with_causes(&error)),
    };
    AgentOutcome {
        agent: agent.clone(),
        status,
        message,
    }
}

impl Shared {
    fn turn(&self, agent: &AgentId) -> Arc<AgentTurn> {
        Arc::clone(lock(&self.agents).entry(agent.clone()).or_default())
    }

    /// One whole pass. Ends with the agent online, or with a log line that says why not.
    fn pass(&self, agent: &AgentId) {
        let Some(view) = self.fleet.get(agent) else {
            return;
        };
        let client = match self.links.client(&view.agent) {
            Ok(client) => client,
            Err(error) => return log::warn!("agent {agent}: not synced: {}", with_causes(&error)),
        };
        for _ in 0..MAX_ROUNDS {
            let generation = self.desired.generation();
            if let Err(error) = self.reconcile(agent, &client) {
                return log::warn!("agent {agent}: not synced: {}", with_causes(&error));
            }
            if generation == self.desired.generation() {
                break;
            }
        }
        if view.agent.state == AgentState::Draining {
            return;
        }
        match self.fleet.transition(agent, AgentEvent::Synced) {
            Ok(_) => {}
            // It went away or was drained meanwhile; whatever comes next asks for a new pass.
            Err(error) => log::info!("agent {agent}: synced, but {}", with_causes(&error)),
        }
    }

    fn reconcile(&self, agent: &AgentId, client: &AgentClient) -> Result<(), RpcError> {
        // A legacy agent cannot say what it holds: it is given everything.
        let held = client.list_functions()?.unwrap_or_default();
        let held: HashMap<_, _> = held
            .into_iter()
            .map(|held| {
                let code = held.code;
                (
                    held.name,
                    Held {
                        config_digest: held.config_digest,
                        code,
                    },
                )
            })
            .collect();
        self.fleet.replace_held(agent, held.clone());
        for function in self.desired.list() {
            let name = &function.config.name;
            match self.bring(agent, name) {
                Ok(_) => {}
                Err(PushError::Rpc(error)) if broke_off(&error, client) => return Err(error),
                Err(error) => {
                    log::warn!("agent {agent}: function {name}: {}", with_causes(&error));
                }
            }
        }
        for name in held.keys() {
            if self.desired.desired(name).is_none() {
                self.remove(agent, name, client)?;
            }
        }
        Ok(())
    }

    /// Makes the agent hold one function as it is desired now; gives its remark.
    fn bring(&self, agent: &AgentId, name: &FunctionName) -> Result<String, PushError> {
        let Some(view) = self.fleet.get(agent) else {
            return Ok(String::new());
        };
        let client = self.links.client(&view.agent)?;
        let Some(desired) = self.desired.desired(name) else {
            self.remove(agent, name, &client)?;
            return Ok(String::new());
        };
        let wanted = Held {
            config_digest: desired.config_digest.clone(),
            code: desired.code.clone(),
        };
        let held = self.fleet.held(agent, name);
        if held.as_ref() == Some(&wanted) {
            return Ok(String::new());
        }
        let has_code = held.is_some_and(|held| held.code == desired.code);
        let remark = match &desired.code {
            Some(code) if !has_code => {
                let size_bytes = self
                    .desired
                    .archive(&code.digest)?
                    .ok_or(PushError::ArchiveMissing)?
                    .len();
                let release = OutgoingRelease {
                    function: name,
                    code,
                    size_bytes,
                    config: Some(&desired.config),
                };
                client.push_release(&release, || self.open_archive(&code.digest))?
            }
            Some(_) | None => client.register_function(&desired.config)?,
        };
        self.confirm(agent, name, wanted, &desired);
        if !remark.is_empty() {
            log::warn!("agent {agent}: function {name}: {remark}");
        }
        Ok(remark)
    }

    fn open_archive(&self, digest: &Digest) -> io::Result<ArchiveReader> {
        self.desired
            .archive(digest)
            .map_err(io::Error::other)?
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn confirm(&self, agent: &AgentId, name: &FunctionName, held: Held, desired: &Current) {
        let version = desired.code.as_ref().map_or(0, |code| code.version);
        log::info!("agent {agent}: holds function {name}, version {version}");
        self.fleet.set_held(agent, name, Some(held));
    }

    fn remove(
        &self,
        agent: &AgentId,
        name: &FunctionName,
        client: &AgentClient,
    ) -> Result<(), RpcError> {
        match client.remove_function(name) {
            // A legacy agent keeps what it has; it gets no traffic for it.
            Ok(()) | Err(RpcError::Unimplemented) => {}
            Err(error) => return Err(error),
        }
        self.fleet.set_held(agent, name, None);
        log::info!("agent {agent}: dropped function {name}");
        Ok(())
    }
}
