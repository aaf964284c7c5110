//! Reads the ends of each agent, has open questions settled, and has long output fetched.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::complaints::Complaints;
use super::fetch::Outputs;
use super::keep::{Records, RecordsError};
use super::legacy::LegacyAgents;
use super::per_agent::PerAgent;
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::base::pool::PoolLimits;
use crate::base::threads::{Supervisor, lock};
use crate::control::links::Links;
use crate::model::agent::Agent;
use crate::model::ends::Mark;
use crate::model::ids::AgentId;
use crate::rpc::{AgentClient, RpcError};
use crate::wire::ends::EndsQuery;

/// Agents whose ends are read at once: each portion ends with a sync of the history, which serves
/// one writer at a time.
const COLLECTORS: PoolLimits = PoolLimits {
    threads: 8,
    queued: 8192,
    idle: Duration::from_secs(10),
};
/// Agents that send long output at once.
const FETCHERS: PoolLimits = PoolLimits {
    threads: 4,
    queued: 8192,
    idle: Duration::from_secs(10),
};

pub(crate) struct Collector {
    passes: PerAgent,
    legacy: LegacyAgents,
    shared: Arc<Shared>,
}

struct Shared {
    records: Arc<Records>,
    links: Arc<Links>,
    fetches: PerAgent,
    outputs: Arc<Outputs>,
    complaints: Complaints,
    /// Agents whose open routes are to be settled: nobody has listened to them for a while.
    unsettled: Mutex<HashSet<AgentId>>,
    shutdown: Cancel,
}

impl Collector {
    /// Nothing is collected before it is asked for.
    pub(crate) fn new(
        records: Arc<Records>,
        links: Arc<Links>,
        supervisor: &Supervisor,
    ) -> Collector {
        let outputs = Arc::new(Outputs {
            records: Arc::clone(&records),
            links: Arc::clone(&links),
            complaints: Complaints::default(),
            shutdown: supervisor.shutdown(),
            passed_over: Mutex::default(),
        });
        let for_fetches = Arc::clone(&outputs);
        let fetches = PerAgent::new("fetch", FETCHERS, supervisor, move |agent| {
            for_fetches.fetch_from(agent)
        });
        let legacy = LegacyAgents {
            records: Arc::clone(&records),
            links: Arc::clone(&links),
            asked: Mutex::default(),
        };
        let shared = Arc::new(Shared {
            records,
            links,
            fetches,
            outputs,
            complaints: Complaints::default(),
            unsettled: Mutex::default(),
            shutdown: supervisor.shutdown(),
        });
        let for_passes = Arc::clone(&shared);
        let passes = PerAgent::new("collect", COLLECTORS, supervisor, move |agent| {
            for_passes.pass(agent)
        });
        Collector {
            passes,
            legacy,
            shared,
        }
    }

    /// Something ended at an agent.
    pub(crate) fn ask(&self, agent: &AgentId) {
        self.passes.ask(agent);
    }

    /// An agent is listened to anew, or the connection to it broke: what was handed over to it may
    /// never have come.
    pub(crate) fn ask_and_settle(&self, agent: &AgentId) {
        lock(&self.shared.unsettled).insert(agent.clone());
        self.passes.ask(agent);
    }

    /// An agent says how far its ends go.
    pub(crate) fn told(&self, agent: &AgentId, latest: &Mark) {
        let records = &self.shared.records;
        if records.kept_mark(agent).as_ref() != Some(latest) {
            self.passes.ask(agent);
        } else if records.released_mark(agent).as_ref() != Some(latest) {
            // Output that was not to be had before is tried again.
            self.shared.fetches.ask(agent);
        }
    }

    /// A legacy agent answered: it is asked about what it was handed.
    pub(crate) fn ask_legacy(&self, agent: &Agent) {
        self.legacy.ask(agent);
    }

    /// Brings the ends home that an agent has now, and waits for them; `at_most` so long. Whether all
    /// of them are home.
    pub(crate) fn collect_now(&self, agent: &AgentId, at_most: Duration) -> bool {
        self.passes.ask_and_wait(agent, at_most)
    }

    /// Brings everything home that an agent has, before it is removed; `at_most` twice so long.
    pub(crate) fn secure(&self, agent: &AgentId, at_most: Duration) {
        let has_told = self.collect_now(agent, at_most);
        // There is no later for what waits to be tried again.
        self.shared.outputs.try_all_again();
        let is_home = has_told && self.shared.fetches.ask_and_wait(agent, at_most);
        if !is_home {
            log::warn!(
                "agent {agent} is removed without having told all that ended there: what has not come home is lost"
            );
        }
    }

    /// Forgets what it kept for an agent that is gone.
    pub(crate) fn forget(&self, agent: &AgentId) {
        lock(&self.shared.unsettled).remove(agent);
        self.passes.forget(agent);
        self.shared.fetches.forget(agent);
        self.legacy.forget(agent);
        self.shared.complaints.settle(agent);
        self.shared.outputs.complaints.settle(agent);
    }
}

impl Shared {
    /// Whether all went well.
    fn pass(&self, agent: &AgentId) -> bool {
        let Some(view) = self.records.fleet.get(agent) else {
            return self.part_with(agent);
        };
        let result = self
            .links
            .client_to_ask(&view.agent)
            .map_err(RecordsError::from)
            .and_then(|client| self.collect(agent, &client));
        if self.records.has_left(agent) {
            return self.part_with(agent);
        }
        match &result {
            Ok(()) => {
                self.complaints.settle(agent);
                self.fetches.ask(agent);
            }
            // The next probe that is answered asks for it again.
            Err(error) => {
                let what = format!("its ends stay there: {}", with_causes(error));
                if is_outage(error) {
                    log::debug!("agent {agent}: {what}");
                } else {
                    self.complaints.raise(agent, what);
                }
            }
        }
        result.is_ok()
    }

    /// The agent was removed: what was kept of its ends after that is not to wait for their output.
    fn part_with(&self, agent: &AgentId) -> bool {
        if let Err(error) = self.records.forget(agent) {
            log::warn!(
                "agent {agent}: what is kept of it waits for it: {}",
                with_causes(&error)
            );
        }
        false
    }

    fn collect(&self, agent: &AgentId, client: &AgentClient) -> Result<(), RecordsError> {
        if !self.read_ends(agent, client)? {
            return Ok(());
        }
        if !lock(&self.unsettled).remove(agent) {
            return Ok(());
        }
        let settled = self.records.settle_open_routes(agent, client);
        match settled {
            Ok(0) => Ok(()),
            // What was settled has ended with it.
            Ok(_) => self.read_ends(agent, client).map(drop),
            Err(error) => {
                lock(&self.unsettled).insert(agent.clone());
                Err(error)
            }
        }
    }

    /// Whether all of them were read, and there are any to read.
    fn read_ends(&self, agent: &AgentId, client: &AgentClient) -> Result<bool, RecordsError> {
        while !self.shutdown.is_pulled() {
            let query = EndsQuery {
                after: self.records.history.mark(agent)?,
                limit: 0,
            };
            let ends = match client.read_ends(&query) {
                Ok(ends) => ends,
                Err(RpcError::Unimplemented) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            if ends.ended.is_empty() && query.after.as_ref() == Some(&ends.mark) {
                return Ok(true);
            }
            let more = ends.more;
            self.records.keep_ends(agent, ends)?;
            if !more {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether the agent is merely not there, which its health says.
fn is_outage(error: &RecordsError) -> bool {
    matches!(
        error,
        RecordsError::Agent(
            RpcError::Unreachable | RpcError::Interrupted { .. } | RpcError::Deadline
        )
    )
}
