//! Agents as operators handle them: listed, registered, taken out of traffic, forgotten.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::contacts::Contacts;
use super::fleet::{AgentView, Fleet, FleetError};
use super::health::{Health, Reach as _};
use super::registration;
use crate::base::causes::with_causes;
use crate::model::agent::{AgentEvent, AgentState};
use crate::model::ids::AgentId;
use crate::rpc::ProbeError;

/// How long a removal waits for what ended at the agent to come home. Output of tens of megabytes takes
/// a second; an agent that hangs is not waited for longer than a person would.
const SECURING_TIME: Duration = Duration::from_secs(10);

/// Fields are dropped in order: those that talk first.
pub(crate) struct Agents {
    health: Health,
    contacts: Contacts,
    fleet: Arc<Fleet>,
    use_tls: bool,
}

/// Why something about an agent was refused. Nothing has changed then.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    /// The fleet's.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The address to register makes no sense.
    #[error("address {address:?}: {reason}")]
    BadAddress {
        /// As it was given.
        address: String,
        reason: &'static str,
    },
    /// Nobody usable answers at the address to register.
    #[error("nobody usable answers at {address}")]
    Unidentified {
        /// As it was given.
        address: String,
        #[source]
        source: ProbeError,
    },
}

impl Agents {
    /// `use_tls`: whether an agent is dialled with mTLS when its registration does not say.
    pub(crate) fn new(
        health: Health,
        contacts: Contacts,
        fleet: Arc<Fleet>,
        use_tls: bool,
    ) -> Agents {
        Agents {
            health,
            contacts,
            fleet,
            use_tls,
        }
    }

    /// All of them, by id.
    pub(crate) fn list(&self) -> Vec<AgentView> {
        self.fleet.list()
    }

    /// Adds the agent that answers at `host:port`, after dialling it. The same agent again is no
    /// change.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub(crate) fn register(
        &self,
        address: &str,
        tls: Option<bool>,
    ) -> Result<AgentView, AgentError> {
        let tls = tls.unwrap_or(self.use_tls);
        let (id, node) = registration::identify(&self.contacts.links, address, tls)?;
        let view = self.fleet.register(&id, address, tls, node)?;
        self.health.probe_now(&id);
        Ok(view)
    }

    /// Takes an agent out of traffic; `false` takes that back.
    ///
    /// # Errors
    /// The fleet's.
    pub(crate) fn drain(&self, id: &AgentId, drain: bool) -> Result<AgentView, AgentError> {
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
        if let Err(error) = self.contacts.drain(&view.agent, drain) {
            log::info!("agent {id}: not told of the drain: {}", with_causes(&error));
        }
        if !drain {
            // What it said while it drained stands until it is asked again.
            self.health.probe_now(id);
            self.contacts.syncer.request(id);
        }
        Ok(view)
    }

    /// Forgets an agent, after what ended there has come home. What runs there, or is not known to
    /// have ended because the agent cannot be asked, has ended as lost.
    ///
    /// # Errors
    /// The fleet's.
    pub(crate) fn remove(&self, id: &AgentId) -> Result<(), AgentError> {
        let view = self
            .fleet
            .get(id)
            .ok_or_else(|| FleetError::UnknownAgent(id.clone()))?;
        match view.agent.state {
            // An offline one may be there again, or was not asked yet.
            AgentState::Syncing
            | AgentState::Online
            | AgentState::Draining
            | AgentState::Offline => {
                self.contacts.collector.secure(id, SECURING_TIME);
            }
            AgentState::Provisioning | AgentState::Gone => {}
        }
        self.fleet.transition(id, AgentEvent::Removed)?;
        self.contacts.part_with(id);
        Ok(())
    }
}
