//! Listens to what every agent signals, so that a slot is free the moment its execution ends, also
//! after a restart of this control plane, and the end comes home soon after.
//!
//! One thread takes the events of all agents. A feed begins with what runs and goes on with what
//! ends; its end is mended by beginning again.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, after, bounded, never, select};

use super::fleet::Fleet;
use super::links::Links;
use super::records::Collector;
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::base::threads::{Lasting, Supervisor, lock};
use crate::model::agent::Agent;
use crate::model::ids::AgentId;
use crate::rpc::RpcError;
use crate::rpc::watch::Watch;
use crate::wire::watch::WatchEvent;

/// Events of all agents that may wait for the thread; more, and a feed is begun again.
const MAX_WAITING_EVENTS: usize = 65_536;
/// Ends of an agent are gathered for this long before they are asked for: bringing them home costs a sync of the
/// disk, which acceptances wait for too.
const GATHERING: Duration = Duration::from_millis(100);

pub(crate) struct Feeds {
    fleet: Arc<Fleet>,
    links: Arc<Links>,
    events: Sender<Event>,
    open: Arc<Mutex<HashMap<AgentId, Feed>>>,
    /// Of the last feed; no two have the same.
    generation: AtomicU64,
    _thread: Lasting,
}

/// A feed that is open, or being opened.
struct Feed {
    generation: u64,
    /// Its events could not be taken as fast as they came: it tells nothing any more.
    is_cut_off: Arc<AtomicBool>,
    /// Absent until the agent was called.
    _watch: Option<Watch>,
}

struct Event {
    agent: AgentId,
    generation: u64,
    news: Result<WatchEvent, RpcError>,
}

struct Listener {
    fleet: Arc<Fleet>,
    collector: Arc<Collector>,
    open: Arc<Mutex<HashMap<AgentId, Feed>>>,
}

impl Feeds {
    /// Nothing is listened to before [`Feeds::ensure`].
    ///
    /// # Errors
    /// The system's when it gives no thread.
    pub(crate) fn start(
        fleet: Arc<Fleet>,
        links: Arc<Links>,
        collector: Arc<Collector>,
        supervisor: &Supervisor,
    ) -> std::io::Result<Arc<Feeds>> {
        let (events, receiver) = bounded(MAX_WAITING_EVENTS);
        let open: Arc<Mutex<HashMap<_, _>>> = Arc::default();
        let listener = Listener {
            fleet: Arc::clone(&fleet),
            collector,
            open: Arc::clone(&open),
        };
        let shutdown = supervisor.shutdown();
        let thread =
            supervisor.spawn_lasting("feed", move || listener.listen(&receiver, &shutdown))?;
        Ok(Arc::new(Feeds {
            fleet,
            links,
            events,
            open,
            generation: AtomicU64::new(0),
            _thread: thread,
        }))
    }

    /// Listens to an agent that answers, if nobody does yet; `anew` when it is another process
    /// than before.
    pub(crate) fn ensure(&self, agent: &Agent, anew: bool) {
        let Some((generation, is_cut_off)) = self.claim(&agent.id, anew) else {
            return;
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
                // The next probe begins it again, with what runs then.
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    is_cut_off.store(true, Ordering::Release);
                    false
                }
            }
        };
        match self
            .links
            .client(agent)
            .and_then(|client| client.watch(deliver))
        {
            Ok(watch) => {
                // Unless it has ended already, or another one was begun meanwhile.
                if let Some(feed) = of_generation(&mut lock(&self.open), &agent.id, generation) {
                    feed._watch = Some(watch);
                }
            }
            Err(error) => {
                log::debug!("agent {}: no feed: {}", agent.id, with_causes(&error));
                close(&self.open, &agent.id, generation);
            }
        }
        if !self.fleet.has(agent) {
            // Removed while its feed was opened: whoever removed it may have found none to close.
            close(&self.open, &agent.id, generation);
            self.links.forget(&agent.id);
        }
    }

    /// Takes the place of the agent's feed, unless there is one that tells something.
    fn claim(&self, agent: &AgentId, anew: bool) -> Option<(u64, Arc<AtomicBool>)> {
        let mut open = lock(&self.open);
        let is_told = |feed: &Feed| !feed.is_cut_off.load(Ordering::Acquire);
        if !anew && open.get(agent).is_some_and(is_told) {
            return None;
        }
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let is_cut_off = Arc::new(AtomicBool::new(false));
        let feed = Feed {
            generation,
            is_cut_off: Arc::clone(&is_cut_off),
            _watch: None,
        };
        open.insert(agent.clone(), feed);
        Some((generation, is_cut_off))
    }

    /// Stops listening to a removed agent.
    pub(crate) fn forget(&self, agent: &AgentId) {
        lock(&self.open).remove(agent);
    }
}

impl Listener {
    fn listen(&self, events: &Receiver<Event>, shutdown: &Cancel) {
        let mut ended = Gathered::default();
        loop {
            let due = ended.due.clone();
            let event = select! {
                recv(events) -> event => event,
                recv(due) -> _ => {
                    for agent in std::mem::take(&mut ended).agents {
                        self.collector.ask(&agent);
                    }
                    continue;
                }
                recv(shutdown.receiver()) -> _ => return,
            };
            let Ok(event) = event else { return };
            self.take(event, &mut ended);
        }
    }

    fn take(&self, event: Event, ended: &mut Gathered) {
        let Event {
            agent,
            generation,
            news,
        } = event;
        if of_generation(&mut lock(&self.open), &agent, generation).is_none() {
            // Of a feed that was replaced or closed: what it tells may be long over.
            return;
        }
        match news {
            Ok(event) => self.apply(&agent, event, ended),
            Err(error) => {
                log::debug!("agent {agent}: its feed ended: {}", with_causes(&error));
                close(&self.open, &agent, generation);
            }
        }
    }

    fn apply(&self, agent: &AgentId, event: WatchEvent, ended: &mut Gathered) {
        match event {
            WatchEvent::Running(running) => {
                self.fleet.replace_running(agent, running);
                // After a time in which nobody listened.
                self.collector.ask_and_settle(agent);
            }
            WatchEvent::Ended(execution, _) => {
                self.fleet.vacate(agent, &execution);
                ended.add(agent);
            }
        }
    }
}

/// Agents where something has ended since their ends were last asked for.
struct Gathered {
    agents: HashSet<AgentId>,
    /// When they are to be asked.
    due: Receiver<Instant>,
}

impl Default for Gathered {
    fn default() -> Gathered {
        Gathered {
            agents: HashSet::new(),
            due: never(),
        }
    }
}

impl Gathered {
    fn add(&mut self, agent: &AgentId) {
        if self.agents.is_empty() {
            self.due = after(GATHERING);
        }
        self.agents.insert(agent.clone());
    }
}

fn of_generation<'a>(
    open: &'a mut HashMap<AgentId, Feed>,
    agent: &AgentId,
    generation: u64,
) -> Option<&'a mut Feed> {
    open.get_mut(agent)
        .filter(|feed| feed.generation == generation)
}

/// The next probe of the agent opens it again.
fn close(open: &Mutex<HashMap<AgentId, Feed>>, agent: &AgentId, generation: u64) {
    let mut open = lock(open);
    if of_generation(&mut open, agent, generation).is_some() {
        open.remove(agent);
    }
}
