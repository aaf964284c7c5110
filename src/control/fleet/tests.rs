//! The fleet without agents: slots, waiters, refusals and late answers, one race at a time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::{Current, Fleet, Held, QueueLimits, RefusedFor, Reservation, WaitError};
use crate::base::cancel::{Cancel, pair};
use crate::base::clock::Clock;
use crate::base::units::Mib;
use crate::config::function::parse_function_yaml;
use crate::model::agent::{Agent, AgentEvent, AgentState};
use crate::model::enforced::Enforced;
use crate::model::function::Code;
use crate::model::function::FunctionConfig;
use crate::model::ids::{AgentId, Digest, ExecutionId, FunctionName};
use crate::model::resources::NodeStatus;
use crate::policy::placement::NoRoom;
use crate::store::EmbeddedStore;
use crate::wire::node::NodeReport;

const PATIENCE: Duration = Duration::from_secs(20);
const LIMITS: QueueLimits = QueueLimits {
    per_function: 4,
    in_all: 6,
};

struct Bench {
    fleet: Arc<Fleet>,
    directory: tempfile::TempDir,
}

impl Bench {
    fn new(agents: &[&str]) -> Bench {
        Bench::with_limits(agents, LIMITS)
    }

    fn with_limits(agents: &[&str], limits: QueueLimits) -> Bench {
        let directory = tempfile::tempdir().expect("tempdir");
        let bench = Bench {
            fleet: load(&directory, limits),
            directory,
        };
        for id in agents {
            bench.register(id, "127.0.0.1:1");
            bench.bring_online(id);
        }
        bench
    }

    fn register(&self, id: &str, address: &str) -> Agent {
        self.fleet
            .register(&agent_id(id), address, true, node())
            .expect("registers")
            .agent
    }

    fn bring_online(&self, id: &str) {
        self.tell(id, AgentEvent::Contacted);
        self.tell(id, AgentEvent::Synced);
    }

    fn tell(&self, id: &str, event: AgentEvent) {
        self.fleet
            .transition(&agent_id(id), event)
            .expect("a legal transition");
    }

    /// Makes a function current, and held by `agents`.
    fn deploy(&self, yaml: &str, agents: &[&str]) -> FunctionName {
        let current = current(yaml, 1);
        let name = current.config.name.clone();
        for id in agents {
            self.fleet
                .set_held(&agent_id(id), &name, Some(held(&current)));
        }
        self.fleet.set_current(&name, Some(current));
        name
    }

    fn acquire(&self, name: &FunctionName) -> Result<Reservation, WaitError> {
        self.fleet
            .acquire(name, &ExecutionId::generate(), &Cancel::never())
    }

    fn await_waiting(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.fleet.waiting() != count {
            assert!(Instant::now() < deadline, "{} wait", self.fleet.waiting());
            thread::yield_now();
        }
    }

    fn active(&self, id: &str) -> u32 {
        self.fleet.get(&agent_id(id)).expect("known").active_count
    }
}

fn load(directory: &tempfile::TempDir, limits: QueueLimits) -> Arc<Fleet> {
    let store = EmbeddedStore::open(directory.path()).expect("store");
    Fleet::load(Arc::new(store), Clock::system(), limits).expect("fleet")
}

fn agent_id(text: &str) -> AgentId {
    AgentId::new(text).expect("id")
}

fn current(yaml: &str, version: u64) -> Current {
    let config: FunctionConfig =
        parse_function_yaml(format!("handler: run\n{yaml}").as_bytes()).expect("function");
    Current {
        config,
        config_digest: "config".to_owned(),
        code: Some(Code {
            version,
            digest: Digest::from_sha256([7; 32]),
        }),
    }
}

fn held(current: &Current) -> Held {
    Held {
        config_digest: current.config_digest.clone(),
        code: current.code.clone(),
    }
}

fn node() -> NodeStatus {
    NodeStatus {
        cpu_percent: 0.0,
        memory_percent: 0.0,
        memory_total_mb: 1000,
        memory_used_mb: 100,
        active_tasks: 0,
        max_tasks: 10,
        uptime_seconds: 1,
        cpu_millicores: 2000,
        collected_at: Clock::system().now(),
    }
}

fn report(id: &str, boot_id: Option<&str>) -> NodeReport {
    NodeReport {
        agent: agent_id(id),
        status: node(),
        boot_id: boot_id.map(str::to_owned),
        draining: false,
        functions_digest: None,
        isolation: Vec::new(),
        isolation_missing: Vec::new(),
        ends_sequence: 0,
    }
}

fn outcome<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().expect("no panic")
}

const WAITS: &str = "name: f\nmax_concurrency: 1\nmax_concurrency_behavior: wait\n";

#[test]
fn waiters_are_served_first_in_first_out_as_slots_free() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy(WAITS, &["a"]);
    let mut holder = bench.acquire(&name).expect("a slot");
    let (served, order) = crossbeam_channel::unbounded();
    thread::scope(|scope| {
        for number in 0..4usize {
            let (bench, name, served) = (&bench, &name, served.clone());
            scope.spawn(move || {
                let slot = bench.acquire(name).expect("a slot in the end");
                served.send((number, slot)).expect("the test listens");
            });
            bench.await_waiting(number + 1);
        }
        for expected in 0..4 {
            drop(holder);
            let (number, slot) = order.recv_timeout(PATIENCE).expect("the next one");
            assert_eq!(number, expected);
            assert_eq!(bench.active("a"), 1);
            holder = slot;
        }
        drop(holder);
    });
    assert_eq!((bench.active("a"), bench.fleet.waiting()), (0, 0));
}

#[test]
fn a_newcomer_does_not_overtake_whoever_waits() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy(WAITS, &["a"]);
    let holder = bench.acquire(&name).expect("a slot");
    thread::scope(|scope| {
        let first = scope.spawn(|| bench.acquire(&name).expect("a slot"));
        bench.await_waiting(1);
        drop(holder);
        let slot = outcome(first);
        let second = scope.spawn(|| bench.acquire(&name).map(drop));
        bench.await_waiting(1);
        drop(slot);
        assert_eq!(outcome(second), Ok(()));
    });
}

#[test]
fn the_queue_is_bounded_for_each_function_and_in_all() {
    let bench = Bench::new(&["a"]);
    let one = bench.deploy(WAITS, &["a"]);
    let other = bench.deploy(&WAITS.replace("name: f", "name: g"), &["a"]);
    let held = [&one, &other].map(|name| bench.acquire(name).expect("a slot"));
    thread::scope(|scope| {
        for count in 1..=4 {
            scope.spawn(|| bench.acquire(&one).map(drop));
            bench.await_waiting(count);
        }
        let full = bench.acquire(&one).map(drop);
        assert_eq!(full, Err(WaitError::QueueFull { waiting: 4 }));
        for count in 5..=6 {
            scope.spawn(|| bench.acquire(&other).map(drop));
            bench.await_waiting(count);
        }
        let full = bench.acquire(&other).map(drop);
        assert_eq!(full, Err(WaitError::QueueFull { waiting: 2 }));
        drop(held);
    });
    assert_eq!(bench.fleet.waiting(), 0);
}

#[test]
fn whoever_leaves_gives_up_its_place_and_never_a_slot() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy(WAITS, &["a"]);
    let holder = bench.acquire(&name).expect("a slot");
    let (leave, gone) = pair();
    thread::scope(|scope| {
        let leaver = scope.spawn(|| {
            let id = ExecutionId::generate();
            bench.fleet.acquire(&name, &id, &gone).map(drop)
        });
        bench.await_waiting(1);
        let stays = scope.spawn(|| bench.acquire(&name).map(drop));
        bench.await_waiting(2);
        leave.pull();
        assert_eq!(outcome(leaver), Err(WaitError::ClientGone));
        bench.await_waiting(1);
        drop(holder);
        assert_eq!(outcome(stays), Ok(()));
    });
    assert_eq!(bench.active("a"), 0);
}

/// The race between the answer and the leaving, many times over: whoever wins, no slot is lost.
#[test]
fn a_slot_handed_to_somebody_who_is_leaving_is_not_lost() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy(WAITS, &["a"]);
    for _ in 0..300 {
        let holder = bench.acquire(&name).expect("a free slot: none was lost");
        let (leave, gone) = pair();
        thread::scope(|scope| {
            let leaver = scope.spawn(|| {
                let id = ExecutionId::generate();
                bench.fleet.acquire(&name, &id, &gone).map(drop)
            });
            bench.await_waiting(1);
            scope.spawn(|| leave.pull());
            drop(holder);
            assert!(matches!(
                outcome(leaver),
                Ok(()) | Err(WaitError::ClientGone)
            ));
        });
        assert_eq!((bench.active("a"), bench.fleet.waiting()), (0, 0));
    }
}

#[test]
fn max_wait_ends_the_wait_with_what_is_short_then() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy(&format!("{WAITS}max_wait: 50ms\n"), &["a"]);
    let _holder = bench.acquire(&name).expect("a slot");
    let late = bench.acquire(&name).map(drop);
    assert!(
        matches!(&late, Err(WaitError::WaitedTooLong { reason: NoRoom::AtCapacity, waited })
            if *waited >= Duration::from_millis(50)),
        "{late:?}"
    );
    assert_eq!(bench.fleet.waiting(), 0);
}

#[test]
fn exit_refuses_at_once_and_says_what_is_short() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy("name: f\nmax_concurrency: 1\n", &["a"]);
    let _holder = bench.acquire(&name).expect("a slot");
    assert_eq!(
        bench.acquire(&name).map(drop),
        Err(WaitError::NoRoom(NoRoom::AtCapacity))
    );
    let large = bench.deploy("name: large\nresources: {memory: 2000}\n", &["a"]);
    assert_eq!(
        bench.acquire(&large).map(drop),
        Err(WaitError::NoRoom(NoRoom::ResourcePressure))
    );
}

#[test]
fn an_agent_that_cannot_isolate_as_asked_by_name_gets_no_traffic_for_it() {
    let bench = Bench::new(&["a", "b"]);
    let asks = bench.deploy("name: f\nisolation: {network: none}\n", &["a", "b"]);
    let loose = bench.deploy("name: g\nisolation: {network: host}\n", &["a", "b"]);
    let refused = bench.acquire(&asks).map(drop);
    assert_eq!(refused, Err(WaitError::NoRoom(NoRoom::NotIsolated)));
    assert!(bench.acquire(&loose).is_ok());
    let agent = bench.fleet.get(&agent_id("b")).expect("known").agent;
    let able = NodeReport {
        isolation: vec![Enforced::Files, Enforced::NetworkNone],
        ..report("b", None)
    };
    bench.fleet.record_answer(&agent, able).expect("known");
    for _ in 0..4 {
        let slot = bench.acquire(&asks).expect("there is one that can");
        assert_eq!(slot.agent(), &agent_id("b"));
    }
}

#[test]
fn memory_is_given_back_with_the_slot() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy("name: f\nresources: {memory: 600}\n", &["a"]);
    assert_eq!(
        current("name: f\nresources: {memory: 600}\n", 1)
            .config
            .memory,
        Some(Mib(600))
    );
    let holder = bench.acquire(&name).expect("a slot");
    assert_eq!(
        bench.acquire(&name).map(drop),
        Err(WaitError::NoRoom(NoRoom::ResourcePressure))
    );
    drop(holder);
    assert!(bench.acquire(&name).is_ok());
}

#[test]
fn waiters_learn_at_once_that_waiting_makes_no_sense_any_more() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy(WAITS, &["a"]);
    let _holder = bench.acquire(&name).expect("a slot");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| bench.acquire(&name).map(drop));
        bench.await_waiting(1);
        bench.tell("a", AgentEvent::Drain);
        assert_eq!(outcome(waiter), Err(WaitError::NoRoom(NoRoom::NoAgent)));
    });
    bench.tell("a", AgentEvent::Undrain);
    bench.tell("a", AgentEvent::Synced);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| bench.acquire(&name).map(drop));
        bench.await_waiting(1);
        bench.fleet.set_current(&name, None);
        let expected = WaitError::FunctionNotFound(name.clone());
        assert_eq!(outcome(waiter), Err(expected));
    });
}

#[test]
fn a_control_plane_that_ends_sends_everybody_away_also_who_comes_later() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy(WAITS, &["a"]);
    let _holder = bench.acquire(&name).expect("a slot");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| bench.acquire(&name).map(drop));
        bench.await_waiting(1);
        bench.fleet.dismiss_waiters();
        assert_eq!(outcome(waiter), Err(WaitError::ShuttingDown));
    });
    assert_eq!(
        bench.acquire(&name).map(drop),
        Err(WaitError::ShuttingDown),
        "nobody would wake it"
    );
}

#[test]
fn a_call_waits_for_an_agent_that_is_being_synced_whatever_its_function_says() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy("name: f\n", &[]);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| bench.acquire(&name).map(drop));
        bench.await_waiting(1);
        bench
            .fleet
            .set_held(&agent_id("a"), &name, Some(held(&current("name: f\n", 1))));
        assert_eq!(outcome(waiter), Ok(()));
    });
}

#[test]
fn an_agent_with_other_code_gets_nothing() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy("name: f\nmax_wait: 10ms\n", &["a"]);
    let newer = current("name: f\n", 2);
    bench.fleet.set_current(&name, Some(newer.clone()));
    assert!(bench.fleet.lacks_something(&agent_id("a")));
    let view = || bench.fleet.held(&agent_id("a"), &name);
    assert_eq!(view(), Some(held(&current("name: f\n", 1))));
    // What it was brought since the call that found it lacking stands.
    bench
        .fleet
        .set_held(&agent_id("a"), &name, Some(held(&newer)));
    bench
        .fleet
        .disprove_held(&agent_id("a"), &current("name: f\n", 1));
    assert_eq!(view(), Some(held(&newer)));
    bench.fleet.disprove_held(&agent_id("a"), &newer);
    assert_eq!(view(), None);
}

#[test]
fn a_refusal_by_the_agent_counts_until_something_there_ends() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy("name: f\nmax_concurrency: 5\n", &["a"]);
    let other = bench.deploy("name: g\n", &["a"]);
    let running = bench.acquire(&name).expect("a slot");
    bench
        .acquire(&name)
        .expect("a slot")
        .turn_down(RefusedFor::Function);
    let full = Err(WaitError::NoRoom(NoRoom::AtCapacity));
    assert_eq!(bench.acquire(&name).map(drop), full);
    assert!(bench.acquire(&other).is_ok(), "only that function is full");
    // Giving that slot back was an end: the agent is asked again.
    bench
        .acquire(&name)
        .expect("room again")
        .turn_down(RefusedFor::Everything);
    assert_eq!(bench.acquire(&other).map(drop), full.clone());
    drop(running);
    assert!(bench.acquire(&other).is_ok());
    assert_eq!(bench.active("a"), 0);
}

#[test]
fn a_refusal_that_is_older_than_the_last_end_says_nothing() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy(WAITS, &["a"]);
    let offered = bench.acquire(&name).expect("a slot");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| bench.acquire(&name).map(drop));
        bench.await_waiting(1);
        // An end of an execution that was not known here, while the agent said no.
        bench.fleet.vacate(&agent_id("a"), &ExecutionId::generate());
        offered.turn_down(RefusedFor::Function);
        assert_eq!(outcome(waiter), Ok(()), "woken at once");
    });
}

#[test]
fn an_end_of_an_unknown_execution_wakes_who_was_refused() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy(WAITS, &["a"]);
    bench
        .acquire(&name)
        .expect("a slot")
        .turn_down(RefusedFor::Function);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| bench.acquire(&name).map(drop));
        bench.await_waiting(1);
        bench.fleet.vacate(&agent_id("a"), &ExecutionId::generate());
        assert_eq!(outcome(waiter), Ok(()));
    });
}

#[test]
fn a_snapshot_of_what_runs_spares_calls_under_way_and_counts_the_rest() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy("name: f\nmax_concurrency: 3\n", &["a"]);
    let calling = bench.acquire(&name).expect("a slot");
    bench.acquire(&name).expect("a slot").hand_over();
    assert_eq!(bench.active("a"), 2);
    let other = ExecutionId::generate();
    bench
        .fleet
        .replace_running(&agent_id("a"), vec![(other.clone(), name.clone())]);
    // The one that was handed over has ended; the one under way may not have arrived yet.
    assert_eq!(bench.active("a"), 2);
    bench.fleet.vacate(&agent_id("a"), &other);
    bench.fleet.vacate(&agent_id("a"), &other);
    assert_eq!(bench.active("a"), 1, "a second end frees nothing");
    drop(calling);
    assert_eq!(bench.active("a"), 0);
}

#[test]
fn an_end_before_the_hand_over_frees_the_slot_once() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy(WAITS, &["a"]);
    let id = ExecutionId::generate();
    let slot = bench
        .fleet
        .acquire(&name, &id, &Cancel::never())
        .expect("a slot");
    bench.fleet.vacate(&agent_id("a"), &id);
    let next = bench.acquire(&name).expect("free already");
    slot.hand_over();
    assert_eq!(bench.active("a"), 1);
    drop(next);
    assert_eq!(bench.active("a"), 0);
}

#[test]
fn a_late_answer_brings_no_removed_agent_back_and_counts_for_no_new_one() {
    let bench = Bench::new(&[]);
    let old = bench.register("a", "127.0.0.1:1");
    assert_eq!(
        bench.fleet.record_answer(&old, report("a", Some("boot"))),
        Some(true)
    );
    bench.tell("a", AgentEvent::Removed);
    assert_eq!(
        bench.fleet.record_answer(&old, report("a", Some("boot"))),
        None
    );
    assert!(bench.fleet.list().is_empty() && !bench.fleet.has(&old));
    let new = bench.register("a", "127.0.0.1:2");
    assert_eq!(
        bench.fleet.record_answer(&old, report("a", Some("boot"))),
        None
    );
    assert_eq!(
        bench.fleet.record_answer(&new, report("a", Some("boot"))),
        Some(true)
    );
}

#[test]
fn an_agent_that_restarted_holds_nothing_until_it_is_asked() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy("name: f\n", &["a"]);
    let agent = bench.fleet.get(&agent_id("a")).expect("known").agent;
    let answer = |boot_id| bench.fleet.record_answer(&agent, report("a", boot_id));
    assert_eq!(answer(Some("one")), Some(true));
    bench
        .fleet
        .set_held(&agent.id, &name, Some(held(&current("name: f\n", 1))));
    assert_eq!(answer(Some("one")), Some(false));
    assert!(bench.fleet.held(&agent.id, &name).is_some());
    assert_eq!(answer(Some("two")), Some(true));
    assert_eq!(bench.fleet.held(&agent.id, &name), None);
    assert_eq!(answer(None), Some(false), "a legacy agent does not say");
}

#[test]
fn an_agent_that_drains_by_itself_is_offered_nothing() {
    let bench = Bench::new(&["a"]);
    let name = bench.deploy("name: f\n", &["a"]);
    let agent = bench.fleet.get(&agent_id("a")).expect("known").agent;
    let draining = NodeReport {
        draining: true,
        ..report("a", None)
    };
    bench.fleet.record_answer(&agent, draining);
    assert_eq!(
        bench.acquire(&name).map(drop),
        Err(WaitError::NoRoom(NoRoom::AtCapacity))
    );
    bench.fleet.record_answer(&agent, report("a", None));
    assert!(bench.acquire(&name).is_ok());
}

#[test]
fn a_drain_survives_a_restart_and_a_removal_too() {
    let bench = Bench::new(&["a", "b", "c"]);
    bench.tell("a", AgentEvent::Drain);
    bench.tell("b", AgentEvent::Removed);
    let Bench { fleet, directory } = bench;
    drop(fleet);
    let states: Vec<_> = load(&directory, LIMITS)
        .list()
        .into_iter()
        .map(|view| (view.agent.id.to_string(), view.agent.state))
        .collect();
    let expected = [
        ("a".to_owned(), AgentState::Draining),
        ("c".to_owned(), AgentState::Offline),
    ];
    assert_eq!(states, expected);
}

#[test]
fn the_same_agent_again_is_no_change_and_another_address_is_a_conflict() {
    let bench = Bench::new(&["a"]);
    bench.register("a", "127.0.0.1:1");
    let agent = bench.fleet.get(&agent_id("a")).expect("known").agent;
    assert_eq!(agent.state, AgentState::Online, "nothing was reset");
    let refused = bench
        .fleet
        .register(&agent.id, "127.0.0.1:2", agent.tls, node())
        .expect_err("a conflict");
    assert!(refused.to_string().contains("127.0.0.1:1"), "{refused}");
}

#[test]
fn slots_are_neither_lost_nor_given_twice_under_many_threads() {
    const LIMIT: u32 = 3;
    let roomy = QueueLimits {
        per_function: 16,
        in_all: 16,
    };
    let bench = Bench::with_limits(&["a", "b"], roomy);
    let name = bench.deploy(
        "name: f\nmax_concurrency: 3\nmax_concurrency_behavior: wait\n",
        &["a", "b"],
    );
    assert_eq!(
        current("name: f\nmax_concurrency: 3\n", 1)
            .config
            .max_concurrency,
        NonZeroU32::new(LIMIT).expect("not zero")
    );
    thread::scope(|scope| {
        for worker in 0..10 {
            let (bench, name) = (&bench, &name);
            scope.spawn(move || {
                for round in 0..200 {
                    let id = ExecutionId::generate();
                    let slot = bench
                        .fleet
                        .acquire(name, &id, &Cancel::never())
                        .expect("a slot");
                    for id in ["a", "b"] {
                        assert!(bench.active(id) <= LIMIT);
                    }
                    match (worker + round) % 7 {
                        0 => slot.turn_down(RefusedFor::Function),
                        1 => {
                            let agent = slot.agent().clone();
                            slot.hand_over();
                            bench.fleet.vacate(&agent, &id);
                        }
                        _ => drop(slot),
                    }
                    // Refused agents are asked again after a probe.
                    bench.fleet.vacate(&agent_id("a"), &ExecutionId::generate());
                    bench.fleet.vacate(&agent_id("b"), &ExecutionId::generate());
                }
            });
        }
    });
    assert_eq!(
        (bench.active("a"), bench.active("b"), bench.fleet.waiting()),
        (0, 0, 0)
    );
}
