//! Follows what anybody writes to the store: what another control plane has changed is true here a
//! moment later. What this one has written comes by too, and is known already.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::contacts::Contacts;
use super::desired::Desired;
use super::fleet::{Fleet, Refreshed};
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::base::clock::Clock;
use crate::base::threads::{Lasting, Supervisor};
use crate::model::ids::{AgentId, FunctionName};
use crate::store::{Changed, Changes, Revision, Store, StoreError};

/// How long one wait for news lasts at the most: only a store that cannot wake its readers would
/// make them wait for it.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Before the store is asked again after it could not answer.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Follows until shutdown.
pub(crate) struct News {
    _thread: Lasting,
}

struct Follower {
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    desired: Arc<Desired>,
    contacts: Contacts,
}

impl News {
    /// Begins with what was written after `since`, which was asked before fleet and desired state
    /// were loaded.
    ///
    /// # Errors
    /// The system's when it gives no thread.
    pub(crate) fn follow(
        since: Revision,
        store: Arc<dyn Store>,
        fleet: Arc<Fleet>,
        desired: Arc<Desired>,
        contacts: Contacts,
        clock: Clock,
        supervisor: &Supervisor,
    ) -> std::io::Result<News> {
        let follower = Follower {
            store,
            fleet,
            desired,
            contacts,
        };
        let shutdown = supervisor.shutdown();
        let thread = supervisor.spawn_lasting("news", move || {
            follower.run(since, &clock, &shutdown);
        })?;
        Ok(News { _thread: thread })
    }
}

impl Follower {
    fn run(&self, mut since: Revision, clock: &Clock, shutdown: &Cancel) {
        loop {
            self.store.await_changes(since, shutdown, LONGEST_WAIT);
            if shutdown.is_pulled() {
                return;
            }
            if let Err(error) = self.catch_up(&mut since) {
                log::warn!("news of the store wait: {}", with_causes(&error));
                clock.wait(shutdown, PAUSE_AFTER_FAILURE);
            }
        }
    }

    /// `since` moves on with everything that is taken over.
    fn catch_up(&self, since: &mut Revision) -> Result<(), StoreError> {
        match self.store.changes_since(*since)? {
            Changes::These(changes) => {
                for change in changes {
                    match change.what {
                        Changed::Agent(id) => self.agent(&id)?,
                        Changed::Function(name) => self.function(&name)?,
                    }
                    *since = change.revision;
                }
            }
            Changes::Everything => {
                let now = self.store.revision()?;
                self.everything()?;
                *since = now;
            }
        }
        Ok(())
    }

    fn everything(&self) -> Result<(), StoreError> {
        let stored = self.store.list_agents()?.into_iter().map(|it| it.value.id);
        let known = self.fleet.list().into_iter().map(|view| view.agent.id);
        for id in stored.chain(known).collect::<BTreeSet<_>>() {
            self.agent(&id)?;
        }
        let stored = self.store.list_functions()?.into_iter();
        let stored = stored.map(|it| it.value.config.name);
        let known = self.desired.list().into_iter().map(|it| it.config.name);
        for name in stored.chain(known).collect::<BTreeSet<_>>() {
            self.function(&name)?;
        }
        Ok(())
    }

    fn agent(&self, id: &AgentId) -> Result<(), StoreError> {
        match self.fleet.refresh(id)? {
            Refreshed::Nothing => {}
            // The next probe does the rest.
            Refreshed::Changed => log::info!("agent {id}: changed in the store"),
            Refreshed::Removed => {
                log::info!("agent {id}: removed from the store");
                self.contacts.part_with(id);
            }
        }
        Ok(())
    }

    fn function(&self, name: &FunctionName) -> Result<(), StoreError> {
        if self.desired.refresh(name)? {
            log::info!("function {name}: changed in the store");
            for view in self.fleet.list() {
                self.contacts.syncer.request(&view.agent.id);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
