//! One connection for each agent, made when it is first needed, kept, and dropped when the agent
//! moves or leaves.
//!
//! A connection looks after itself: it pings an idle peer, notices a dead one, and reconnects
//! with a bounded pause. Towards a legacy agent it pings so rarely that the agent cannot take
//! it for an attack; which kind it talks to, a connection learns from the first node status.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::channel::{Channel, Target, Threads};
use super::client::AgentClient;
use super::error::RpcError;
use super::h2::keepalive;
use super::limits::{KEEPALIVE_TIME_GENTLE, Keepalive, PROBE_BOUND};
use super::probe::{ProbeError, probe_identity};
use super::tls::{ClientTls, TlsIdentity};
use crate::base::threads::{Supervisor, lock};
use crate::model::ids::AgentId;
use crate::wire::names::agent_name;

/// The channels to all agents, by their ids. Dropping it ends what still runs on its connections, and joins their threads.
pub struct Channels {
    state: Mutex<State>,
    keepalive: Keepalive,
    // Last: everything above uses it.
    threads: Arc<Threads>,
}

struct State {
    identity: Option<TlsIdentity>,
    entries: HashMap<AgentId, Entry>,
}

struct Entry {
    address: String,
    tls: bool,
    manners: Manners,
    client: AgentClient,
}

/// How often a silent peer is asked whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manners {
    /// A Flux agent, which expects it.
    Brisk,
    /// A legacy agent, which may close the connection over it.
    Gentle,
}

impl Channels {
    /// Without an identity only agents without TLS can be dialled.
    pub fn new(identity: Option<TlsIdentity>, supervisor: &Supervisor) -> Channels {
        Channels::with_keepalive(identity, Keepalive::default(), supervisor)
    }

    /// The same, for tests that have no time.
    #[doc(hidden)]
    pub fn with_keepalive(
        identity: Option<TlsIdentity>,
        keepalive: Keepalive,
        supervisor: &Supervisor,
    ) -> Channels {
        Channels {
            state: Mutex::new(State {
                identity,
                entries: HashMap::new(),
            }),
            keepalive,
            threads: Arc::new(Threads::new(supervisor.clone())),
        }
    }

    /// The connection to an agent; made if there is none, or if the one there is goes to another
    /// address. Does not wait for it.
    ///
    /// # Errors
    /// [`RpcError::Address`], [`RpcError::NoIdentity`].
    pub fn client(&self, id: &AgentId, address: &str, tls: bool) -> Result<AgentClient, RpcError> {
        let mut state = lock(&self.state);
        let known = state.entries.get(id);
        let manners = known.map_or(Manners::Brisk, |entry| {
            if entry.client.is_legacy() {
                Manners::Gentle
            } else {
                Manners::Brisk
            }
        });
        if let Some(entry) = known
            && entry.address == address
            && entry.tls == tls
            && entry.manners == manners
        {
            return Ok(entry.client.clone());
        }
        let channel = self.dial(&state, address, tls.then_some(id), manners)?;
        let client = AgentClient::new(id.clone(), channel, manners == Manners::Gentle);
        let entry = Entry {
            address: address.to_owned(),
            tls,
            manners,
            client: client.clone(),
        };
        state.entries.insert(id.clone(), entry);
        Ok(client)
    }

    /// Drops the connection to an agent; calls that run on it keep it until they end.
    pub fn forget(&self, id: &AgentId) {
        lock(&self.state).entries.remove(id);
    }

    /// Shows another identity from the next connection on, to every agent; what is under way goes on where it is.
    ///
    /// # Errors
    /// [`RpcError::Tls`]: OpenSSL cannot use it, and nothing has changed.
    pub fn replace_identity(&self, identity: TlsIdentity) -> Result<(), RpcError> {
        let mut state = lock(&self.state);
        let with_tls = state.entries.iter().filter(|(_, entry)| entry.tls);
        let replaced = with_tls.map(|(id, entry)| {
            let tls = ClientTls::new(&identity, agent_name(id)).map_err(RpcError::Tls)?;
            Ok((entry.client.clone(), tls))
        });
        let replaced = replaced.collect::<Result<Vec<_>, RpcError>>()?;
        state.identity = Some(identity);
        for (client, tls) in replaced {
            client.channel().replace_tls(tls);
        }
        Ok(())
    }

    /// Who serves at an address, before anything about it is known: with TLS from its
    /// certificate, which must be under our CA; without, from its own word. Takes at most
    /// [`PROBE_BOUND`] and the system's time to resolve the name.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub fn identify(&self, address: &str, tls: bool) -> Result<AgentId, ProbeError> {
        if tls {
            let identity = lock(&self.state).identity.clone();
            let identity = identity.ok_or(RpcError::NoIdentity)?;
            let address = address.parse().map_err(RpcError::Address)?;
            return probe_identity(&address, &identity, Instant::now() + PROBE_BOUND);
        }
        let channel = self.dial(&lock(&self.state), address, None, Manners::Gentle)?;
        Ok(AgentClient::plain_identity(&channel)?)
    }

    /// `agent` is whose certificate the peer must show; without one there is no TLS.
    fn dial(
        &self,
        state: &State,
        address: &str,
        agent: Option<&AgentId>,
        manners: Manners,
    ) -> Result<Channel, RpcError> {
        let tls = match agent {
            Some(id) => {
                let identity = state.identity.as_ref().ok_or(RpcError::NoIdentity)?;
                Some(ClientTls::new(identity, agent_name(id)).map_err(RpcError::Tls)?)
            }
            None => None,
        };
        let target = Target {
            address: address.parse()?,
            tls,
            keepalive: asking(manners, self.keepalive),
        };
        Ok(Channel::new(target, Arc::clone(&self.threads)))
    }
}

impl Drop for Channels {
    fn drop(&mut self) {
        self.threads.close();
    }
}

fn asking(manners: Manners, keepalive: Keepalive) -> keepalive::Keepalive {
    let (time, when_idle) = match manners {
        Manners::Brisk => (keepalive.time, true),
        Manners::Gentle => (KEEPALIVE_TIME_GENTLE, false),
    };
    keepalive::Keepalive {
        time,
        timeout: keepalive.timeout,
        when_idle,
        tolerated: None,
    }
}
