//! From an agent of the fleet to a client that talks to it.

use crate::base::clock::Clock;
use crate::model::agent::{Agent, AgentState};
use crate::model::ends::Mark;
use crate::model::ids::AgentId;
use crate::rpc::{AgentClient, Channels, ProbeError, RpcError};
use crate::wire::node::NodeReport;

/// The channels of the fleet.
pub(crate) struct Links {
    channels: Channels,
    clock: Clock,
}

impl Links {
    /// Channels open with the first call to each agent.
    pub(crate) fn new(channels: Channels, clock: Clock) -> Links {
        Links { channels, clock }
    }

    /// The clock that answers are dated by.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A client for an agent.
    ///
    /// # Errors
    /// When no channel can be made, for instance without certificates for an agent with TLS.
    pub(crate) fn client(&self, agent: &Agent) -> Result<AgentClient, RpcError> {
        self.client_at(&agent.id, &agent.address, agent.tls)
    }

    /// A client for a question that somebody waits for: an agent that is known to be offline is not
    /// waited for.
    ///
    /// # Errors
    /// As [`Links::client`].
    pub(crate) fn client_to_ask(&self, agent: &Agent) -> Result<AgentClient, RpcError> {
        let client = self.client(agent)?;
        Ok(match agent.state {
            AgentState::Provisioning | AgentState::Offline | AgentState::Gone => client.fail_fast(),
            AgentState::Syncing | AgentState::Online | AgentState::Draining => client,
        })
    }

    /// A client for an agent, from its parts.
    ///
    /// # Errors
    /// As [`Links::client`].
    pub(crate) fn client_at(
        &self,
        id: &AgentId,
        address: &str,
        tls: bool,
    ) -> Result<AgentClient, RpcError> {
        self.channels.client(id, address, tls)
    }

    /// How an agent is, from its parts. `released`: up to where it may forget its ends.
    ///
    /// # Errors
    /// When it cannot be asked, or says to be another one.
    pub(crate) fn status_at(
        &self,
        id: &AgentId,
        address: &str,
        tls: bool,
        released: Option<&Mark>,
    ) -> Result<NodeReport, RpcError> {
        self.client_at(id, address, tls)?
            .node_status(self.clock.now(), released)
    }

    /// Who answers at an address.
    ///
    /// # Errors
    /// When nobody does, or nobody of this fleet.
    pub(crate) fn identify(&self, address: &str, tls: bool) -> Result<AgentId, ProbeError> {
        self.channels.identify(address, tls)
    }

    /// Closes the channel to an agent that was removed.
    pub(crate) fn forget(&self, id: &AgentId) {
        self.channels.forget(id);
    }
}
