//! One connection for each agent, made when it is first needed, kept, and dropped when the agent
//! moves or leaves.
//!
//! A connection looks after itself: it pings an idle peer, notices a dead one, and reconnects
//! with a bounded pause. Towards a legacy agent it pings so rarely that the agent cannot take
//! it for an attack; which kind it talks to, a connection learns from the first node status.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::Mutex;
use std::time::Instant;

use grpcio::{Channel, ChannelBuilder, ChannelCredentials};

use super::address::Address;
use super::client::{AgentClient, Patience};
use super::environment::PollThreads;
use super::error::RpcError;
use super::limits::{
    KEEPALIVE_TIME_GENTLE, Keepalive, MAX_MESSAGE_BYTES, PROBE_BOUND, RECONNECT_FIRST,
    RECONNECT_MOST,
};
use super::probe::{ProbeError, probe_identity};
use super::tls::TlsIdentity;
use crate::base::threads::lock;
use crate::model::ids::AgentId;
use crate::wire::names::agent_name;

/// The connections to all agents. Dropping it joins its threads, once no call runs any more.
pub struct Channels {
    state: Mutex<State>,
    keepalive: Keepalive,
    // Last: everything above uses it.
    threads: PollThreads,
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
    pub fn new(identity: Option<TlsIdentity>) -> Channels {
        Channels::with_keepalive(identity, Keepalive::default())
    }

    /// The same, for tests that have no time.
    #[doc(hidden)]
    pub fn with_keepalive(identity: Option<TlsIdentity>, keepalive: Keepalive) -> Channels {
        Channels {
            state: Mutex::new(State {
                identity,
                entries: HashMap::new(),
            }),
            keepalive,
            threads: PollThreads::start("rpc-client"),
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
        Ok(AgentClient::plain_identity(channel, Patience::UntilBound)?)
    }

    /// `agent` is whose certificate the peer must show; without one there is no TLS.
    fn dial(
        &self,
        state: &State,
        address: &str,
        agent: Option<&AgentId>,
        manners: Manners,
    ) -> Result<Channel, RpcError> {
        let address: Address = address.parse()?;
        let builder = ChannelBuilder::new(self.threads.environment());
        let builder = tuned(builder, manners, self.keepalive);
        let builder = match agent {
            Some(id) => {
                let identity = state.identity.as_ref().ok_or(RpcError::NoIdentity)?;
                builder
                    .override_ssl_target(agent_name(id))
                    .set_credentials(identity.channel_credentials())
            }
            None => builder.set_credentials(ChannelCredentials::insecure()),
        };
        Ok(builder.connect(&address.target()))
    }
}

fn tuned(builder: ChannelBuilder, manners: Manners, keepalive: Keepalive) -> ChannelBuilder {
    let (time, when_idle) = match manners {
        Manners::Brisk => (keepalive.time, true),
        Manners::Gentle => (KEEPALIVE_TIME_GENTLE, false),
    };
    let message_bytes = i32::try_from(MAX_MESSAGE_BYTES).unwrap_or(i32::MAX);
    builder
        .max_receive_message_len(message_bytes)
        .max_send_message_len(message_bytes)
        .keepalive_time(time)
        .keepalive_timeout(keepalive.timeout)
        .keepalive_permit_without_calls(when_idle)
        // Pings on an idle connection are what keepalive is for; the default stops after two.
        .http2_max_pings_without_data(0)
        .initial_reconnect_backoff(RECONNECT_FIRST)
        .max_reconnect_backoff(RECONNECT_MOST)
        // One attempt to connect, which the library otherwise gives 20 s.
        .raw_cfg_int(
            argument(c"grpc.min_reconnect_backoff_ms"),
            millis(RECONNECT_MOST),
        )
        // Agents are addressed directly; a proxy in the environment is not meant for them.
        .enable_http_proxy(false)
        // No TXT lookups in the name service for a configuration that nobody publishes.
        .raw_cfg_int(argument(c"grpc.service_config_disable_resolution"), 1)
        // A dropped channel must close its connection, also when another has the same target.
        .use_local_subchannel_pool(true)
        // Whether a call was sent is ours to know.
        .enable_retry(false)
}

fn argument(name: &std::ffi::CStr) -> CString {
    name.to_owned()
}

fn millis(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
