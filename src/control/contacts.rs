//! Everything that is kept for an agent because it is talked to: its connection, its feed, its turn
//! to be synced.

use std::sync::Arc;

use super::feed::Feeds;
use super::links::Links;
use super::sync::Syncer;
use crate::model::ids::AgentId;

/// See the module's text.
#[derive(Clone)]
pub struct Contacts {
    /// Who is listened to.
    pub feeds: Arc<Feeds>,
    /// Who is brought what.
    pub syncer: Arc<Syncer>,
    /// How they are reached.
    pub links: Arc<Links>,
}

impl Contacts {
    /// Forgets an agent that the fleet does not have any more.
    pub fn forget(&self, id: &AgentId) {
        self.feeds.forget(id);
        self.syncer.forget(id);
        self.links.forget(id);
    }
}
