//! Calls come, run and wait; agents die and come back; records grow old. What must hold, holds after
//! each event.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use openssl::sha::Sha256;

use super::world::{Agenda, MORNING, Machines, seconds};
use crate::base::clock::{Clock, Moment, Timestamp};
use crate::config::server::Retention;
use crate::control::fleet::{Fleet, Place, QueueLimits, Reservation, WaitError, Waiting};
use crate::control::health::Rounds;
use crate::control::janitor::Chores;
use crate::model::ends::{Ended, EndedOutput};
use crate::model::execution::{Ending, ExecutionRecord};
use crate::model::ids::{AgentId, ExecutionId};
use crate::model::output::Output;
use crate::store::history::{HistoryStore, SqliteHistory};
use crate::store::{EmbeddedStore, IdempotencyKey, Store};

const DAY: Duration = Duration::from_secs(24 * 3600);
const AGENTS: usize = 3;
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const MISSES: u32 = 3;
/// How many executions of the function one agent runs at once.
pub(super) const AT_ONCE: usize = 2;
const LONGEST_WAIT: Duration = Duration::from_secs(300);
const FUNCTION: &str = "
name: f
handler: run
max_concurrency: 2
max_concurrency_behavior: wait
max_wait: 300
";
const QUEUE: QueueLimits = QueueLimits {
    per_function: 20,
    in_all: 20,
};
/// How long a key stands for its execution: longer than a success is kept.
const KEY_TTL: Duration = Duration::from_secs(4 * 3600);
/// Rarer than the janitor would: a day of its rounds would be a day of commits.
const CLEANING: Duration = Duration::from_secs(300);
/// A look at everything that is kept costs more than a cleaning.
const CLEANINGS_BETWEEN_LOOKS: usize = 12;

enum Event {
    Probe,
    Sync(AgentId),
    Clean,
    Call,
    End(ExecutionId),
    Down(AgentId),
    Up(AgentId),
    /// A waiter's time is over.
    Patience,
}

/// What a call does once it runs.
#[derive(Clone)]
pub(super) struct Work {
    takes: Duration,
    ending: Ending,
    keyed: bool,
}

/// A call in the queue.
pub(super) struct Waiter {
    id: ExecutionId,
    waiting: Waiting,
    work: Work,
    since: Duration,
    /// When its time is over, as far as that is on the agenda.
    noted: Moment,
}

pub(super) struct Day {
    pub(super) clock: Clock,
    agenda: Agenda<Event>,
    random: Rng,
    pub(super) fleet: Arc<Fleet>,
    pub(super) machines: Arc<Machines>,
    rounds: Rounds,
    round: u32,
    chores: Chores,
    store: Arc<dyn Store>,
    pub(super) history: Arc<dyn HistoryStore>,
    pub(super) retention: Retention,
    pub(super) running: HashMap<ExecutionId, (Reservation, Work)>,
    pub(super) waiting: VecDeque<Waiter>,
    /// When each record that should be kept ended, whether well, and until when a key stands for it.
    pub(super) ended: BTreeMap<ExecutionId, (Timestamp, bool, Option<Timestamp>)>,
    told: Told,
    _directory: tempfile::TempDir,
}

/// What the day came to; equal for equal seeds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Told {
    calls: usize,
    at_once: usize,
    after_waiting: usize,
    gave_up: usize,
    refused: usize,
    lost: usize,
    failures: usize,
    cleanings: usize,
    /// Over every event, in order.
    trace: String,
}

impl Day {
    fn new(seed: u64) -> Day {
        // In memory where there is such a directory: what a day syncs would take most of its time.
        let directory = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .expect("tempdir");
        let (clock, hands) = Clock::simulated(MORNING);
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.path()).expect("store"));
        let history: Arc<dyn HistoryStore> =
            Arc::new(SqliteHistory::open(directory.path()).expect("history"));
        let fleet = Fleet::load(Arc::clone(&store), clock.clone(), QUEUE).expect("fleet");
        let machines = Machines::new(Arc::clone(&fleet), clock.clone(), FUNCTION);
        let retention = Retention {
            success: Duration::from_secs(3600),
            failure: Duration::from_secs(2 * 3600),
            ..Retention::default()
        };
        let mut day = Day {
            rounds: Rounds::new(
                MISSES,
                Arc::clone(&fleet),
                Arc::clone(&machines) as Arc<dyn crate::control::health::Reach>,
            ),
            round: 0,
            chores: Chores::new(Arc::clone(&store), Arc::clone(&history), retention.clone()),
            clock,
            agenda: Agenda::new(hands),
            random: Rng::with_seed(seed),
            fleet,
            machines,
            store,
            history,
            retention,
            running: HashMap::new(),
            waiting: VecDeque::new(),
            ended: BTreeMap::new(),
            told: Told::default(),
            _directory: directory,
        };
        for number in 1..=AGENTS {
            let id = AgentId::new(&format!("agent-{number}")).expect("id");
            day.machines.add(&id);
            let until = seconds(&mut day.random, 600.0, 40_000.0);
            day.agenda.after(until, Event::Down(id));
        }
        day.agenda.after(Duration::ZERO, Event::Probe);
        day.agenda.after(CLEANING, Event::Clean);
        day.agenda.after(Duration::from_secs(1), Event::Call);
        day
    }

    fn play(mut self) -> Told {
        let mut trace = Sha256::new();
        while let Some(event) = self.agenda.next_before(DAY) {
            let what = self.happen(event);
            self.serve();
            self.check();
            let line = format!("{:?} {what} {}\n", self.agenda.passed(), self.running.len());
            trace.update(line.as_bytes());
        }
        self.told.trace = trace
            .finish()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.told
    }

    fn happen(&mut self, event: Event) -> String {
        match event {
            Event::Probe => {
                for view in self.rounds.patients() {
                    self.rounds.probe(&view, self.round);
                }
                self.round += 1;
                for id in self.machines.take_syncs() {
                    let takes = seconds(&mut self.random, 0.05, 5.0);
                    self.agenda.after(takes, Event::Sync(id));
                }
                self.agenda.after(PROBE_INTERVAL, Event::Probe);
                self.check_health();
                "probe".to_owned()
            }
            Event::Sync(id) => {
                self.machines.sync(&id);
                format!("sync {id}")
            }
            Event::Clean => {
                while self.chores.tick(&self.clock) {}
                self.told.cleanings += 1;
                self.agenda.after(CLEANING, Event::Clean);
                if self.told.cleanings.is_multiple_of(CLEANINGS_BETWEEN_LOOKS) {
                    self.check_history();
                }
                "clean".to_owned()
            }
            Event::Call => {
                let pause = seconds(&mut self.random, 1.0, 120.0);
                self.agenda.after(pause, Event::Call);
                self.call()
            }
            Event::End(id) => self.end(&id),
            Event::Down(id) => {
                self.machines.with(&id, |machine| machine.is_up = false);
                let until = seconds(&mut self.random, 1.0, 3600.0);
                self.agenda.after(until, Event::Up(id.clone()));
                self.lose_all_at(&id);
                format!("down {id}")
            }
            Event::Up(id) => {
                let loses_disk = self.random.u8(..) < 64;
                self.machines.with(&id, |machine| {
                    machine.is_up = true;
                    machine.boots += 1;
                    machine.holds_function &= !loses_disk;
                });
                let until = seconds(&mut self.random, 600.0, 40_000.0);
                self.agenda.after(until, Event::Down(id.clone()));
                format!("up {id}")
            }
            Event::Patience => "patience".to_owned(),
        }
    }

    fn call(&mut self) -> String {
        self.told.calls += 1;
        let id = ExecutionId::new(&format!("e{:06}", self.told.calls)).expect("id");
        let work = Work {
            takes: seconds(&mut self.random, 0.1, 900.0),
            ending: if self.random.u8(..) < 25 {
                Ending::Exited(1)
            } else {
                Ending::Exited(0)
            },
            keyed: self.random.u8(..) < 50,
        };
        match self.fleet.enter(self.machines.function(), &id) {
            Ok(Place::Taken(reservation)) => {
                assert!(self.waiting.is_empty(), "{id} went before those who wait");
                self.told.at_once += 1;
                self.start(id, reservation, work);
                "taken".to_owned()
            }
            Ok(Place::InQueue(waiting)) => {
                let noted = waiting.deadline();
                self.agenda
                    .after(noted.since(self.clock.moment()), Event::Patience);
                self.waiting.push_back(Waiter {
                    id,
                    waiting,
                    work,
                    since: self.agenda.passed(),
                    noted,
                });
                "queued".to_owned()
            }
            Err(error) => {
                assert!(
                    matches!(error, WaitError::NoRoom(_) | WaitError::QueueFull { .. }),
                    "{error}"
                );
                self.told.refused += 1;
                "refused".to_owned()
            }
        }
    }

    fn start(&mut self, id: ExecutionId, reservation: Reservation, work: Work) {
        let agent = reservation.agent().clone();
        // It may have gone down since anybody looked: the call breaks, and nothing runs there.
        if !self.machines.with(&agent, |machine| machine.is_up) {
            self.told.lost += 1;
            return drop(reservation);
        }
        if work.keyed {
            let key = IdempotencyKey::new(self.machines.function(), id.as_str());
            self.store
                .begin_idempotent(&key, &[0; 32], &id, self.clock.now(), KEY_TTL)
                .expect("begin");
        }
        self.agenda.after(work.takes, Event::End(id.clone()));
        self.running.insert(id, (reservation, work));
    }

    fn end(&mut self, id: &ExecutionId) -> String {
        let Some((reservation, work)) = self.running.remove(id) else {
            return "end of what was lost".to_owned();
        };
        self.keep(id, reservation.agent(), &work, work.ending);
        drop(reservation);
        "end".to_owned()
    }

    fn lose_all_at(&mut self, agent: &AgentId) {
        let mut lost: Vec<_> = self
            .running
            .iter()
            .filter(|(_, (reservation, _))| reservation.agent() == agent)
            .map(|(id, _)| id.clone())
            .collect();
        lost.sort();
        for id in lost {
            let (reservation, work) = self.running.remove(&id).expect("it runs");
            self.told.lost += 1;
            self.keep(&id, reservation.agent(), &work, Ending::Lost);
        }
    }

    fn keep(&mut self, id: &ExecutionId, agent: &AgentId, work: &Work, ending: Ending) {
        let now = self.clock.now();
        let function = self.machines.function().clone();
        let accepted = ExecutionRecord::accepted(id.clone(), agent.clone(), function, 1, now);
        let record = ExecutionRecord {
            ending: Some(ending),
            ..accepted
        };
        let output = EndedOutput::Whole(Output::default());
        self.history.keep_lazily(Ended { record, output });
        let is_success = ending == Ending::Exited(0);
        self.told.failures += usize::from(!is_success);
        let claimed = self.store.claimed_until(id, now).expect("look");
        assert_eq!(claimed.is_some(), work.keyed && claimed.is_some());
        self.ended.insert(id.clone(), (now, is_success, claimed));
    }

    /// Whoever waits is told what it has come to.
    fn serve(&mut self) {
        let mut still_waiting = VecDeque::new();
        while let Some(mut waiter) = self.waiting.pop_front() {
            let waited = self.agenda.passed() - waiter.since;
            match waiter.waiting.look() {
                None => {
                    let deadline = waiter.waiting.deadline();
                    let left = deadline.since(self.clock.moment());
                    assert!(
                        waited + left <= LONGEST_WAIT,
                        "{} may wait for {left:?} more",
                        waiter.id
                    );
                    if waiter.noted != deadline {
                        waiter.noted = deadline;
                        self.agenda.after(left, Event::Patience);
                    }
                    still_waiting.push_back(waiter);
                }
                Some(Ok(reservation)) => {
                    assert!(
                        still_waiting.is_empty(),
                        "{} was served before one that came earlier",
                        waiter.id
                    );
                    self.told.after_waiting += 1;
                    self.start(waiter.id, reservation, waiter.work);
                }
                Some(Err(error)) => {
                    assert!(
                        matches!(
                            error,
                            WaitError::WaitedTooLong { .. } | WaitError::NoRoom(_)
                        ),
                        "{error}"
                    );
                    assert!(waited <= LONGEST_WAIT, "{waited:?}");
                    self.told.gave_up += 1;
                }
            }
        }
        self.waiting = still_waiting;
    }
}

#[test]
fn a_day_keeps_every_promise_whatever_the_seed() {
    for seed in 1..=3 {
        let told = Day::new(seed).play();
        // A day on which nothing happened would prove nothing.
        assert!(told.calls > 2000, "{told:?}");
        assert!(told.after_waiting > 100, "{told:?}");
        assert!(told.gave_up > 10, "{told:?}");
        assert!(told.lost > 5, "{told:?}");
        assert!(told.cleanings > 280, "{told:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_day() {
    let told = Day::new(7).play();
    assert_eq!(Day::new(7).play(), told);
    assert_ne!(Day::new(8).play().trace, told.trace);
}
