//! Asks every agent regularly how it is, and draws the conclusions.
//!
//! Owns: the clock of the probes. An agent that misses as many probes in a row as the
//! configuration says goes offline; one that answers again is synced before it gets traffic.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::fleet::{AgentView, Fleet, FleetError};
use crate::base::causes::with_causes;
use crate::base::clock::Clock;
use crate::base::pool::{Pool, PoolLimits};
use crate::base::threads::{Lasting, Supervisor, lock};
use crate::model::agent::{Agent, AgentEvent, AgentState};
use crate::model::ends::Mark;
use crate::model::ids::AgentId;
use crate::rpc::RpcError;
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
pub(crate) struct HealthPolicy {
    /// Between two probes of an agent.
    pub interval: Duration,
    /// Probes missed in a row after which an agent is offline.
    pub misses: u32,
}

/// What health does to an agent: over the network in a daemon, by a script in a simulation.
pub(crate) trait Reach: Send + Sync {
    /// How it is.
    ///
    /// # Errors
    /// It did not say.
    fn probe(&self, agent: &Agent) -> Result<NodeReport, RpcError>;

    /// Has it brought up to date.
    fn sync(&self, agent: &AgentId);

    /// It answered: it is listened to, `anew` when it is another process than before, and `latest` is
    /// how far its ends go. `None`: a legacy agent, which is asked instead.
    fn listen(&self, agent: &Agent, anew: bool, latest: Option<&Mark>);

    /// Tells it whether it drains.
    ///
    /// # Errors
    /// It was not told.
    fn drain(&self, agent: &Agent, drain: bool) -> Result<(), RpcError>;

    /// It was removed while it was asked.
    fn forget(&self, agent: &AgentId);
}

/// Probes until it is dropped.
pub(crate) struct Health {
    shared: Arc<Shared>,
    // After `shutdown` is pulled by the supervisor, this joins.
    _ticker: Lasting,
}

struct Shared {
    rounds: Rounds,
    interval: Duration,
    clock: Clock,
    /// Agents whose probe has not come back; they are not probed again meanwhile.
    under_way: Mutex<HashSet<AgentId>>,
    pool: Pool,
}

/// Draws the conclusions from probes, without any thread of its own.
pub(crate) struct Rounds {
    misses: u32,
    fleet: Arc<Fleet>,
    reach: Arc<dyn Reach>,
}

impl Health {
    /// Starts probing at once.
    ///
    /// # Errors
    /// The system's when it gives no thread.
    pub(crate) fn start(
        policy: HealthPolicy,
        fleet: Arc<Fleet>,
        reach: Arc<dyn Reach>,
        clock: Clock,
        supervisor: &Supervisor,
    ) -> std::io::Result<Health> {
        let shared = Arc::new(Shared {
            rounds: Rounds::new(policy.misses, fleet, reach),
            interval: policy.interval,
            clock,
            under_way: Mutex::new(HashSet::new()),
            pool: Pool::new("probe", PROBE_POOL, supervisor),
        });
        let (for_ticker, shutdown) = (Arc::clone(&shared), supervisor.shutdown());
        let ticker = supervisor.spawn_lasting("health", move || {
            let mut round = 0;
            loop {
                for_ticker.start_round(round);
                if for_ticker.clock.wait(&shutdown, for_ticker.interval) {
                    return;
                }
                round = round.wrapping_add(1);
            }
        })?;
        Ok(Health {
            shared,
            _ticker: ticker,
        })
    }

    /// Probes one agent now, on the caller's thread; for one that was just registered.
    pub(crate) fn probe_now(&self, id: &AgentId) {
        let rounds = &self.shared.rounds;
        if let Some(view) = rounds.fleet.get(id) {
            rounds.probe(&view, 0);
        }
    }
}

impl Shared {
    fn start_round(self: &Arc<Self>, round: u32) {
        for view in self.rounds.patients() {
            let id = view.agent.id.clone();
            if !lock(&self.under_way).insert(id.clone()) {
                continue;
            }
            let for_job = Arc::clone(self);
            let accepted = self.pool.submit(move || {
                for_job.rounds.probe(&view, round);
                lock(&for_job.under_way).remove(&view.agent.id);
            });
            if accepted.is_err() {
                lock(&self.under_way).remove(&id);
            }
        }
    }
}

impl Rounds {
    /// `misses`: see [`HealthPolicy`].
    pub(crate) fn new(misses: u32, fleet: Arc<Fleet>, reach: Arc<dyn Reach>) -> Rounds {
        Rounds {
            misses,
            fleet,
            reach,
        }
    }

    /// Whom to probe now.
    pub(crate) fn patients(&self) -> Vec<AgentView> {
        let mut agents = self.fleet.list();
        agents.retain(|view| view.agent.state != AgentState::Provisioning);
        agents
    }

    /// Probes one agent, which stood as `view` says.
    pub(crate) fn probe(&self, view: &AgentView, round: u32) {
        match self.reach.probe(&view.agent) {
            Ok(report) => self.answered(view, report, round),
            Err(error) => {
                let id = &view.agent.id;
                log::debug!("agent {id}: probe: {}", with_causes(&error));
                self.missed(view);
            }
        }
    }

    fn answered(&self, view: &AgentView, report: NodeReport, round: u32) {
        let id = &view.agent.id;
        let (draining, latest_end) = (report.draining, report.latest_end());
        let Some(restarted) = self.fleet.record_answer(&view.agent, report) else {
            return self.reach.forget(id);
        };
        self.align_drain(view, draining);
        match view.agent.state {
            AgentState::Offline => {
                self.tell(id, AgentEvent::Contacted);
                self.reach.sync(id);
            }
            AgentState::Syncing => self.reach.sync(id),
            AgentState::Online if restarted => {
                self.tell(id, AgentEvent::FellBehind);
                self.reach.sync(id);
            }
            AgentState::Online => {
                if round.is_multiple_of(PROBES_BETWEEN_REPAIRS) && self.fleet.lacks_something(id) {
                    self.reach.sync(id);
                }
            }
            AgentState::Provisioning | AgentState::Draining | AgentState::Gone => {}
        }
        self.reach
            .listen(&view.agent, restarted, latest_end.as_ref());
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
        if let Err(error) = self.reach.drain(&view.agent, wanted) {
            let id = &view.agent.id;
            log::debug!(
                "agent {id}: not told whether it drains: {}",
                with_causes(&error)
            );
        }
    }

    fn missed(&self, view: &AgentView) {
        let id = &view.agent.id;
        let misses = self.fleet.record_miss(id);
        if misses >= self.misses && view.agent.state != AgentState::Offline {
            self.tell(id, AgentEvent::Missed);
        }
    }

    fn tell(&self, id: &AgentId, event: AgentEvent) {
        match self.fleet.transition(id, event) {
            // Somebody else changed it since this probe began; the next one sees that.
            Ok(_) | Err(FleetError::Illegal(_) | FleetError::UnknownAgent(_)) => {}
            Err(error) => log::error!("agent {id}: {}", with_causes(&error)),
        }
    }
}
