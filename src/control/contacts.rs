//! Everything that is kept for an agent because it is talked to: its connection, its feed, its turn to
//! be synced, and what came home from it.

use std::sync::Arc;

use super::desired::Desired;
use super::feed::Feeds;
use super::fleet::Fleet;
use super::health::Reach;
use super::links::Links;
use super::records::{Collector, Records};
use super::sync::Syncer;
use crate::base::causes::with_causes;
use crate::base::threads::Supervisor;
use crate::base::units::Mib;
use crate::model::agent::Agent;
use crate::model::ends::Mark;
use crate::model::ids::AgentId;
use crate::rpc::RpcError;
use crate::store::Store;
use crate::store::history::HistoryStore;
use crate::wire::node::NodeReport;

#[derive(Clone)]
pub(crate) struct Contacts {
    /// What came home.
    pub records: Arc<Records>,
    /// Whose ends are brought home.
    pub collector: Arc<Collector>,
    /// Who is listened to.
    pub feeds: Arc<Feeds>,
    /// Who is brought what.
    pub syncer: Arc<Syncer>,
    /// How they are reached.
    pub links: Arc<Links>,
}

impl Reach for Contacts {
    fn probe(&self, agent: &Agent) -> Result<NodeReport, RpcError> {
        let released = self.records.released_mark(&agent.id);
        self.links
            .status_at(&agent.id, &agent.address, agent.tls, released.as_ref())
    }

    fn sync(&self, agent: &AgentId) {
        self.syncer.request(agent);
    }

    fn listen(&self, agent: &Agent, anew: bool, latest: Option<&Mark>) {
        match latest {
            Some(latest) => {
                self.feeds.ensure(agent, anew);
                self.collector.told(&agent.id, latest);
            }
            None => self.collector.ask_legacy(agent),
        }
    }

    fn drain(&self, agent: &Agent, drain: bool) -> Result<(), RpcError> {
        self.links.client(agent)?.drain(drain).map(drop)
    }

    fn forget(&self, agent: &AgentId) {
        self.links.forget(agent);
    }
}

impl Contacts {
    /// Nobody is talked to yet. `longest_output`: what is kept of one execution's output.
    ///
    /// # Errors
    /// The system's when it gives no thread.
    pub(crate) fn start(
        links: Links,
        history: Arc<dyn HistoryStore>,
        store: Arc<dyn Store>,
        fleet: &Arc<Fleet>,
        desired: &Arc<Desired>,
        longest_output: Mib,
        supervisor: &Supervisor,
    ) -> std::io::Result<Contacts> {
        let clock = links.clock().clone();
        let links = Arc::new(links);
        let records = Arc::new(Records::new(
            history,
            store,
            Arc::clone(fleet),
            clock,
            longest_output,
        ));
        let collector = Arc::new(Collector::new(
            Arc::clone(&records),
            Arc::clone(&links),
            supervisor,
        ));
        Ok(Contacts {
            feeds: Feeds::start(
                Arc::clone(fleet),
                Arc::clone(&links),
                Arc::clone(&collector),
                supervisor,
            )?,
            syncer: Arc::new(Syncer::new(
                Arc::clone(fleet),
                Arc::clone(desired),
                Arc::clone(&links),
                supervisor,
            )),
            records,
            collector,
            links,
        })
    }

    /// Parts with an agent that the fleet does not have any more: what has not ended there has ended as
    /// lost, and nothing is kept for it.
    pub(crate) fn part_with(&self, id: &AgentId) {
        if let Err(error) = self.records.give_up(id) {
            // Whoever asks for one of its executions settles it.
            log::warn!(
                "agent {id}: executions there have not ended yet: {}",
                with_causes(&error)
            );
        }
        self.feeds.forget(id);
        self.collector.forget(id);
        self.syncer.forget(id);
        self.links.forget(id);
    }
}
