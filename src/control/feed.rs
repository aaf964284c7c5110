//! Listens to every agent's feed of ends, so that a slot is free the moment its execution ends,
//! also after a restart of this control plane.
//!
//! One thread takes the events of all agents. A feed begins with what runs and goes on with what
//! ends; a gap in its numbers, or an end of the feed, is mended by beginning again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};

use super::executions::Executions;
use super::fleet::Fleet;
use super::links::Links;
use crate::base::threads::{Joined, Supervisor, lock};
use crate::base::token::Token;
use crate::model::agent::Agent;
use crate::model::ids::AgentId;
use crate::rpc::RpcError;
use crate::rpc::watch::Watch;
use crate::wire::watch::{Numbered, WatchEvent};

/// Events of all agents that may wait for the thread; more, and a feed is begun again.
const MAX_WAITING_EVENTS: usize = 65_536;

/// See the module's text.
pub struct Feeds {
    links: Arc<Links>,
    events: Sender<Event>,
    open: Arc<Mutex<HashMap<AgentId, Feed>>>,
    _thread: Joined,
}

struct Feed {
    generation: u64,
    /// Absent for an existing agent, which has none.
    _watch: Option<Watch>,
}

struct Event {
    agent: AgentId,
    generation: u64,
    news: Result<Numbered, RpcError>,
}

struct Listener {
    fleet: Arc<Fleet>,
    executions: Arc<Executions>,
    open: Arc<Mutex<HashMap<AgentId, Feed>>>,
    /// The last number of each feed.
    sequences: HashMap<AgentId, (u64, u64)>,
}

impl Feeds {
    /// Nothing is listened to before [`Feeds::ensure`].
    ///
    /// # Errors
    /// The system's when it gives no thread.
    pub fn start(
        fleet: Arc<Fleet>,
        links: Arc<Links>,
        executions: Arc<Executions>,
        supervisor: &Supervisor,
    ) -> std::io::Result<Arc<Feeds>> {
        let (events, receiver) = bounded(MAX_WAITING_EVENTS);
        let open: Arc<Mutex<HashMap<_, _>>> = Arc::default();
        let mut listener = Listener {
            fleet,
            executions,
            open: Arc::clone(&open),
            sequences: HashMap::new(),
        };
        let shutdown = supervisor.shutdown();
        let thread = supervisor.spawn("feed", move || listener.listen(&receiver, &shutdown))?;
        Ok(Arc::new(Feeds {
            links,
            events,
            open,
            _thread: thread,
        }))
    }

    /// Listens to an agent that answers, if nobody does yet; `anew` when it is another process
    /// than before.
    pub fn ensure(&self, agent: &Agent, anew: bool) {
        let generation = {
            let open = lock(&self.open);
            match open.get(&agent.id) {
                Some(_) if !anew => return,
                Some(feed) => feed.generation + 1,
                None => 1,
            }
        };
        let (events, id) = (self.events.clone(), agent.id.clone());
        let deliver = move |news| {
            let event = Event {
                agent: id.clone(),
                generation,
                news,
            };
            match events.try_send(event) {
                Ok(()) => true,
                // Cut off: the next probe begins it again, with what runs then.
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            }
        };
        match self
            .links
            .client(agent)
            .and_then(|client| client.watch(deliver))
        {
            Ok(watch) => {
                lock(&self.open).insert(
                    agent.id.clone(),
                    Feed {
                        generation,
                        _watch: Some(watch),
                    },
                );
            }
            Err(error) => log::debug!("agent {}: no feed: {error}", agent.id),
        }
    }

    /// Stops listening to a removed agent.
    pub fn forget(&self, agent: &AgentId) {
        lock(&self.open).remove(agent);
    }
}

impl Listener {
    fn listen(&mut self, events: &Receiver<Event>, shutdown: &Token) {
        loop {
            let event = select! {
                recv(events) -> event => event,
                recv(shutdown.receiver()) -> _ => return,
            };
            let Ok(event) = event else { return };
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        let Event {
            agent,
            generation,
            news,
        } = event;
        match news {
            Ok(numbered) => {
                if self.is_in_order(&agent, generation, &numbered) {
                    self.apply(&agent, numbered.event);
                } else {
                    log::warn!("agent {agent}: its feed has a gap");
                    self.close(&agent, generation);
                }
            }
            Err(RpcError::Unimplemented) => {
                // Stays in the table without a watch, so that it is not asked again and again.
                if let Some(feed) = lock(&self.open).get_mut(&agent) {
                    feed._watch = None;
                }
            }
            Err(error) => {
                log::debug!("agent {agent}: its feed ended: {error}");
                self.close(&agent, generation);
            }
        }
    }

    fn is_in_order(&mut self, agent: &AgentId, generation: u64, numbered: &Numbered) -> bool {
        let last = self
            .sequences
            .insert(agent.clone(), (generation, numbered.sequence));
        match (&numbered.event, last) {
            (WatchEvent::Running(_), _) => true,
            (WatchEvent::Ended(..), Some((of, last))) => {
                of == generation && numbered.sequence == last + 1
            }
            (WatchEvent::Ended(..), None) => false,
        }
    }

    fn apply(&self, agent: &AgentId, event: WatchEvent) {
        match event {
            WatchEvent::Running(running) => self.fleet.replace_running(agent, running),
            WatchEvent::Ended(execution, function) => {
                self.fleet.vacate(agent, &execution);
                self.executions.record_end(&execution, agent, &function);
            }
        }
    }

    /// The next probe of the agent opens it again.
    fn close(&self, agent: &AgentId, generation: u64) {
        let mut open = lock(&self.open);
        if open
            .get(agent)
            .is_some_and(|feed| feed.generation == generation)
        {
            open.remove(agent);
        }
    }
}
