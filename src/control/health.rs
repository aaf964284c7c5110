//! Asks every agent regularly how it is, and draws the conclusions.
//!
//! Owns: the clock of the probes. An agent that misses as many probes in a row as the
//! configuration says goes offline; one that answers again is synced before it gets traffic.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::contacts::Contacts;
use super::fleet::{AgentView, Fleet, FleetError};
use crate::base::cancel::Cancel;
use crate::base::clock::Clock;
use crate::base::pool::{Pool, PoolLimits};
use crate::base::threads::{Lasting, Supervisor, lock};
use crate::model::agent::{AgentEvent, AgentState};
use crate::model::ids::AgentId;
use crate::wire::node::NodeReport;

/// Probes at the same time: a fleet whose every second agent hangs must not slow the probing of
/// the others below its interval.
const PROBE_POOL: PoolLimits = PoolLimits {
    threads: 32,
    queued: 8192,
    idle: Duration::from_secs(30),
};

/// An online agent that lacks a function is tried again every this many probes.
const PROBES_BETWEEN_REPAIRS: u32 = 15;

/// When to probe, and when to give up.
#[derive(Debug, Clone, Copy)]
pub struct HealthPolicy {
    /// Between two probes of an agent.
    pub interval: Duration,
    /// Probes missed in a row after which an agent is offline.
    pub misses: u32,
}

/// Probes until it is dropped.
pub struct Health {
    shared: Arc<Shared>,
    // After `shutdown` is pulled by the supervisor, this joins.
    _ticker: Lasting,
}

struct Shared {
    policy: HealthPolicy,
    fleet: Arc<Fleet>,
    contacts: Contacts,
    clock: Clock,
    /// Agents whose probe has not come back; they are not probed again meanwhile.
    under_way: Mutex<HashSet<AgentId>>,
    pool: Pool,
}

impl Health {
    /// Starts probing at once.
    ///
    /// # Errors
    /// The system's when it gives no thread.
    pub fn start(
        policy: HealthPolicy,
        fleet: Arc<Fleet>,
        contacts: Contacts,
        clock: Clock,
        supervisor: &Supervisor,
    ) -> std::io::Result<Health> {
        let shared = Arc::new(Shared {
            policy,
            fleet,
            contacts,
            clock,
            under_way: Mutex::new(HashSet::new()),
            pool: Pool::new("probe", PROBE_POOL, supervisor),
        });
        let (for_ticker, shutdown) = (Arc::clone(&shared), supervisor.shutdown());
        let ticker = supervisor.spawn_lasting("health", move || tick(&for_ticker, &shutdown))?;
        Ok(Health {
            shared,
            _ticker: ticker,
        })
    }

    /// Probes one agent now, on the caller's thread; for one that was just registered.
    pub fn probe_now(&self, id: &AgentId) {
        if let Some(view) = self.shared.fleet.get(id) {
            self.shared.probe(&view, 0);
        }
    }
}

fn tick(shared: &Arc<Shared>, shutdown: &Cancel) {
    let mut round = 0u32;
    loop {
        for view in shared.fleet.list() {
            if view.agent.state == AgentState::Provisioning
                || !lock(&shared.under_way).insert(view.agent.id.clone())
            {
                continue;
            }
            let id = view.agent.id.clone();
            let for_job = Arc::clone(shared);
            let accepted = shared.pool.submit(move || {
                for_job.probe(&view, round);
                lock(&for_job.under_way).remove(&view.agent.id);
            });
            if accepted.is_err() {
                lock(&shared.under_way).remove(&id);
            }
        }
        if shared.clock.wait(shutdown, shared.policy.interval) {
            return;
        }
        round = round.wrapping_add(1);
    }
}

impl Shared {
    fn probe(&self, view: &AgentView, round: u32) {
        let id = &view.agent.id;
        let agent = &view.agent;
        let released = self.contacts.collector.released_mark(id);
        let answer =
            self.contacts
                .links
                .status_at(id, &agent.address, agent.tls, released.as_ref());
        match answer {
            Ok(report) => self.answered(view, report, round),
            Err(error) => {
                log::debug!("agent {id}: probe: {error}");
                self.missed(view);
            }
        }
    }

    fn answered(&self, view: &AgentView, report: NodeReport, round: u32) {
        let id = &view.agent.id;
        let (draining, latest_end) = (report.draining, report.latest_end());
        let Some(restarted) = self.fleet.record_answer(&view.agent, report) else {
            // Removed while it was asked.
            self.contacts.links.forget(id);
            return;
        };
        self.align_drain(view, draining);
        match view.agent.state {
            AgentState::Offline => {
                self.tell(id, AgentEvent::Contacted);
                self.contacts.syncer.request(id);
            }
            AgentState::Syncing => self.contacts.syncer.request(id),
            AgentState::Online if restarted => {
                self.tell(id, AgentEvent::FellBehind);
                self.contacts.syncer.request(id);
            }
            AgentState::Online => {
                if round.is_multiple_of(PROBES_BETWEEN_REPAIRS) && self.fleet.lacks_something(id) {
                    self.contacts.syncer.request(id);
                }
            }
            AgentState::Provisioning | AgentState::Draining | AgentState::Gone => {}
        }
        match latest_end {
            Some(latest) => {
                self.contacts.feeds.ensure(&view.agent, restarted);
                self.contacts.collector.told(id, &latest);
            }
            None => self.contacts.collector.ask_legacy(&view.agent),
        }
    }

    /// An agent that restarted has forgotten that it drains; one that could not be told of the
    /// drain's end drains on. One that drains because it ends says so again.
    fn align_drain(&self, view: &AgentView, draining: bool) {
        let wanted = match view.agent.state {
            AgentState::Draining => true,
            AgentState::Syncing | AgentState::Online => false,
            AgentState::Provisioning | AgentState::Offline | AgentState::Gone => return,
        };
        if wanted == draining {
            return;
        }
        let id = &view.agent.id;
        if let Err(error) = self
            .contacts
            .links
            .client(&view.agent)
            .and_then(|client| client.drain(wanted))
        {
            log::debug!("agent {id}: not told whether it drains: {error}");
        }
    }

    fn missed(&self, view: &AgentView) {
        let id = &view.agent.id;
        let misses = self.fleet.record_miss(id);
        if misses >= self.policy.misses && view.agent.state != AgentState::Offline {
            self.tell(id, AgentEvent::Missed);
        }
    }

    fn tell(&self, id: &AgentId, event: AgentEvent) {
        match self.fleet.transition(id, event) {
            // Somebody else changed it since this probe began; the next one sees that.
            Ok(_) | Err(FleetError::Illegal(_) | FleetError::UnknownAgent(_)) => {}
            Err(error) => log::error!("agent {id}: {error}"),
        }
    }
}
