//! Executions in pages: what has ended from the history, what runs from the agents.

use std::collections::HashMap;

use super::error::ExecutionError;
use super::locate::Executions;
use crate::base::causes::with_causes;
use crate::model::execution::{ExecutionRecord, Status};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::rpc::RpcError;
use crate::store::history::RecordFilter;
use crate::wire::listing::ExecutionQuery;

/// Executions in one listing at the most, so that an answer stays readable and bounded.
pub(crate) const MAX_LISTED: usize = 500;

/// Which executions to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// Only of this function.
    pub function: Option<FunctionName>,
    /// Only in this state.
    pub status: Option<Status>,
    /// How many records to list at the most.
    pub limit: usize,
    /// Only those older than this one.
    pub before: Option<ExecutionId>,
}

/// A page of a listing.
#[derive(Debug)]
pub(crate) struct Page {
    /// Newest first, without their output.
    pub records: Vec<ExecutionRecord>,
    /// Pass as `before` for the next page.
    pub next: Option<ExecutionId>,
    /// Agents whose executions may be missing here.
    pub unreachable: Vec<AgentId>,
}

impl Executions {
    /// Records, newest first, without their output.
    ///
    /// # Errors
    /// The history cannot be asked.
    pub(crate) fn list(&self, listing: &Listing) -> Result<Page, ExecutionError> {
        let limit = listing.limit.clamp(1, MAX_LISTED);
        // One more than shown, to know whether there are more.
        let wanted = limit + 1;
        // First the agents, then the history: what comes home in between is in both, never in none.
        let (at_agents, unreachable) = self.list_at_agents(listing, wanted);
        let filter = RecordFilter {
            function: listing.function.clone(),
            status: listing.status,
            before: listing.before.clone(),
        };
        let kept = self
            .contacts
            .records
            .history()
            .list_records(&filter, wanted)?;
        let at_agents = at_agents.into_iter().map(|record| (record, false));
        let kept = kept.into_iter().map(|record| (record, true));
        let mut by_id: HashMap<_, _> = HashMap::new();
        by_id.extend(
            at_agents
                .chain(kept)
                .map(|listed| (listed.0.id.clone(), listed)),
        );
        let mut listed: Vec<_> = by_id.into_values().collect();
        listed.sort_by(|(a, _), (b, _)| b.id.cmp(&a.id));
        let more = listed.len() > limit;
        listed.truncate(limit);
        let not_home = listed.iter().filter(|(_, is_home)| !is_home);
        self.contacts
            .records
            .keep_told(not_home.map(|(record, _)| record));
        let records: Vec<_> = listed.into_iter().map(|(record, _)| record).collect();
        let next = records
            .last()
            .filter(|_| more)
            .map(|record| record.id.clone());
        Ok(Page {
            records,
            next,
            unreachable,
        })
    }

    /// What runs, and what has ended and is not home yet.
    fn list_at_agents(
        &self,
        listing: &Listing,
        limit: usize,
    ) -> (Vec<ExecutionRecord>, Vec<AgentId>) {
        let query = ExecutionQuery {
            function: listing.function.clone(),
            status: listing.status,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            before: listing.before.clone(),
            ended_after: None,
        };
        let kept = self.fleet.list().into_iter().filter_map(|view| {
            let mark = self.contacts.records.kept_mark(&view.agent.id)?;
            Some((view.agent.id, mark))
        });
        let kept: HashMap<_, _> = kept.collect();
        let answers = self.ask_all(move |agent, client| {
            client.list_executions(&ExecutionQuery {
                ended_after: kept.get(agent).cloned(),
                ..query.clone()
            })
        });
        let mut records = Vec::new();
        let mut unreachable = Vec::new();
        for (agent, answer) in answers {
            match answer {
                Ok(listed) => records.extend(listed),
                // A legacy agent keeps no list.
                Err(RpcError::Unimplemented) => {}
                Err(error) => {
                    log::warn!(
                        "agent {agent}: its executions cannot be listed: {}",
                        with_causes(&error)
                    );
                    unreachable.push(agent);
                }
            }
        }
        unreachable.sort();
        (records, unreachable)
    }
}
