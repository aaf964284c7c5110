//! An agent's life as the control plane sees it: one enum, one table of transitions.
//!
//! ```text
//! provisioning → offline → syncing → online → draining → gone
//! ```
//!
//! Invariant: only `Online` agents get traffic, and the only way there is through `Syncing`.

use thiserror::Error;

use super::enforced::{Enforced, Missing};
use super::ids::AgentId;
use super::resources::NodeStatus;
use crate::base::clock::Timestamp;

/// Where an agent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// Its machine is being made; nobody has heard of the agent yet.
    Provisioning,
    /// Known, and not reachable.
    Offline,
    /// Reachable, and being brought to the desired functions.
    Syncing,
    /// Reachable and up to date: gets traffic.
    Online,
    /// Finishes what runs and gets nothing new, until it is undrained or removed.
    Draining,
    /// Removed. Nothing leads out of it.
    Gone,
}

/// What can happen to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentEvent {
    /// The machine is up and the agent is expected to answer soon.
    Booted,
    /// It answered a probe, after not having done so.
    Contacted,
    /// It holds every desired function in its desired version.
    Synced,
    /// Its functions are not the desired ones any more, and could not be made so at once.
    FellBehind,
    /// It missed as many probes in a row as make it unreachable.
    Missed,
    /// An operator, or a scale-down, takes it out of traffic.
    Drain,
    /// An operator takes the drain back.
    Undrain,
    /// An operator forgets it, or its machine is gone.
    Removed,
}

/// The event makes no sense in that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an agent that is {} cannot {}", state.as_str(), event.as_verb())]
pub(crate) struct IllegalTransition {
    /// Where the agent stood.
    pub state: AgentState,
    /// What was tried.
    pub event: AgentEvent,
}

impl AgentState {
    /// All of them.
    pub(crate) const ALL: [AgentState; 6] = [
        AgentState::Provisioning,
        AgentState::Offline,
        AgentState::Syncing,
        AgentState::Online,
        AgentState::Draining,
        AgentState::Gone,
    ];

    /// Flux's own name, as stored and as `phase` in the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            AgentState::Provisioning => "provisioning",
            AgentState::Offline => "offline",
            AgentState::Syncing => "syncing",
            AgentState::Online => "online",
            AgentState::Draining => "draining",
            AgentState::Gone => "gone",
        }
    }

    /// `status` in the API, which the contract limits to four words: an agent that does not get
    /// traffic yet is offline to whoever knows only those.
    pub(crate) const fn api_status(self) -> &'static str {
        match self {
            AgentState::Provisioning => "provisioning",
            AgentState::Offline | AgentState::Syncing | AgentState::Gone => "offline",
            AgentState::Online => "online",
            AgentState::Draining => "draining",
        }
    }

    /// The reverse of [`AgentState::as_str`].
    pub(crate) fn parse(text: &str) -> Option<AgentState> {
        AgentState::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// Where an agent that stands here stands once it is known that somebody else decided `decided`,
    /// which is what is stored: of these, reachability is none.
    pub(crate) const fn after_decision(self, decided: AgentState) -> AgentState {
        use AgentState as S;
        match (self, decided) {
            (_, S::Provisioning | S::Draining | S::Gone) => decided,
            (S::Provisioning, S::Offline | S::Syncing | S::Online) => S::Offline,
            // Back through a sync, as after an undrain of our own.
            (S::Draining, S::Offline | S::Syncing | S::Online) => S::Syncing,
            (
                S::Offline | S::Syncing | S::Online | S::Gone,
                S::Offline | S::Syncing | S::Online,
            ) => self,
        }
    }

    /// The whole table.
    ///
    /// # Errors
    /// [`IllegalTransition`] for every pair that is not in it.
    pub(crate) const fn on(self, event: AgentEvent) -> Result<AgentState, IllegalTransition> {
        use AgentEvent as E;
        use AgentState as S;
        Ok(match (self, event) {
            (S::Provisioning, E::Booted) => S::Offline,
            (S::Offline, E::Contacted) => S::Syncing,
            (S::Syncing, E::Synced) => S::Online,
            (S::Online, E::FellBehind) => S::Syncing,
            (S::Syncing | S::Online, E::Missed) => S::Offline,
            (S::Offline | S::Syncing | S::Online, E::Drain) => S::Draining,
            // Back through a sync: it was passed over by deploys while it drained.
            (S::Draining, E::Undrain) => S::Syncing,
            (S::Provisioning | S::Offline | S::Syncing | S::Online | S::Draining, E::Removed) => {
                S::Gone
            }
            // Repeated or late news that changes nothing.
            (S::Draining, E::Drain | E::Missed | E::Contacted | E::FellBehind) => S::Draining,
            (S::Offline, E::Missed) => S::Offline,
            (S::Provisioning, E::Missed) => S::Provisioning,
            (S::Syncing, E::FellBehind | E::Contacted) => S::Syncing,
            (S::Online, E::Synced | E::Contacted) => S::Online,
            (state, event) => return Err(IllegalTransition { state, event }),
        })
    }
}

impl AgentEvent {
    /// All of them.
    pub const ALL: [AgentEvent; 8] = [
        AgentEvent::Booted,
        AgentEvent::Contacted,
        AgentEvent::Synced,
        AgentEvent::FellBehind,
        AgentEvent::Missed,
        AgentEvent::Drain,
        AgentEvent::Undrain,
        AgentEvent::Removed,
    ];

    const fn as_verb(self) -> &'static str {
        match self {
            AgentEvent::Booted => "boot",
            AgentEvent::Contacted => "be contacted",
            AgentEvent::Synced => "become synced",
            AgentEvent::FellBehind => "fall behind",
            AgentEvent::Missed => "miss probes",
            AgentEvent::Drain => "be drained",
            AgentEvent::Undrain => "be undrained",
            AgentEvent::Removed => "be removed",
        }
    }
}

/// The part of an agent that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Unique in the fleet; stands in its certificate.
    pub id: AgentId,
    /// `host:port` where it serves gRPC.
    pub address: String,
    /// Whether it is dialled with mTLS.
    pub tls: bool,
    /// Whether it gets traffic, and what it waits for.
    pub state: AgentState,
    /// Cloud provider and instance, for agents whose machine Flux made.
    pub machine: Option<Machine>,
    /// When it was registered.
    pub registered_at: Timestamp,
}

/// The cloud machine under a managed agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// `aws` or `gcp`.
    pub provider: String,
    /// The provider's id of the instance.
    pub instance_id: String,
    /// The provider's name of the machine type.
    pub instance_type: String,
}

/// What is known about an agent from talking to it; never stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct AgentContact {
    /// The last answered probe.
    pub last_heartbeat: Option<Timestamp>,
    /// Probes missed in a row.
    pub misses: u32,
    /// The figures of the last probe.
    pub node: Option<NodeStatus>,
    /// What the agent enforces on executions.
    pub isolation: Vec<Enforced>,
    /// What it does not, and why.
    pub isolation_missing: Vec<Missing>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use AgentState as S;

    /// The table once more, by rows in the order of `AgentEvent::ALL`; `None` is an error.
    /// Written out whole, so that a change to any cell has to be made in two places on purpose.
    #[rustfmt::skip]
    const EXPECTED: [(AgentState, [Option<AgentState>; 8]); 6] = [
        //               Booted            Contacted          Synced           FellBehind         Missed                 Drain              Undrain           Removed
        (S::Provisioning, [Some(S::Offline), None,              None,            None,              Some(S::Provisioning), None,              None,             Some(S::Gone)]),
        (S::Offline,      [None,             Some(S::Syncing),  None,            None,              Some(S::Offline),      Some(S::Draining), None,             Some(S::Gone)]),
        (S::Syncing,      [None,             Some(S::Syncing),  Some(S::Online), Some(S::Syncing),  Some(S::Offline),      Some(S::Draining), None,             Some(S::Gone)]),
        (S::Online,       [None,             Some(S::Online),   Some(S::Online), Some(S::Syncing),  Some(S::Offline),      Some(S::Draining), None,             Some(S::Gone)]),
        (S::Draining,     [None,             Some(S::Draining), None,            Some(S::Draining), Some(S::Draining),     Some(S::Draining), Some(S::Syncing), Some(S::Gone)]),
        (S::Gone,         [None,             None,              None,            None,              None,                  None,              None,             None]),
    ];

    #[test]
    fn every_cell_of_the_transition_table_is_as_written_here() {
        for (state, row) in EXPECTED {
            for (event, expected) in AgentEvent::ALL.into_iter().zip(row) {
                assert_eq!(state.on(event).ok(), expected, "{state:?} on {event:?}");
            }
        }
    }

    #[test]
    fn a_decision_of_somebody_else_counts_and_what_is_seen_here_stays() {
        for state in [S::Offline, S::Syncing, S::Online] {
            assert_eq!(state.after_decision(S::Offline), state);
            assert_eq!(state.after_decision(S::Draining), S::Draining);
        }
        assert_eq!(S::Draining.after_decision(S::Draining), S::Draining);
        assert_eq!(S::Draining.after_decision(S::Offline), S::Syncing);
        assert_eq!(S::Provisioning.after_decision(S::Offline), S::Offline);
    }

    #[test]
    fn only_a_synced_agent_comes_online_and_a_draining_one_never_does_directly() {
        for state in AgentState::ALL {
            for event in AgentEvent::ALL {
                if state.on(event) == Ok(S::Online) {
                    assert!(
                        matches!(state, S::Syncing | S::Online),
                        "{state:?} on {event:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_illegal_transition_reads_as_a_sentence() {
        let error = S::Gone.on(AgentEvent::Drain).expect_err("illegal");
        assert_eq!(error.to_string(), "an agent that is gone cannot be drained");
    }

    #[test]
    fn names_read_back() {
        for state in AgentState::ALL {
            assert_eq!(AgentState::parse(state.as_str()), Some(state));
        }
    }
}
