//! Clients at work while daemons are killed at moments that a seed decides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;

use super::caller::Caller;
use super::history::History;
use super::scene::fleet;
use super::witness::Witness;
use crate::harness::notes;
use crate::harness::{Fleet, eventually, pause};
use crate::runner::tests;

tests![
    a_storm_of_kills_breaks_no_promise_with_seed_1,
    a_storm_of_kills_breaks_no_promise_with_seed_2,
    a_storm_of_kills_breaks_no_promise_with_seed_3,
    a_storm_of_kills_breaks_no_promise_with_a_seed_of_choice,
];

const ASYNC_CLIENTS: u64 = 3;
const SYNC_CLIENTS: u64 = 2;
const KILLS: usize = 5;
/// Of one execution: some end before the next kill, some are hit by it.
const RUN_MILLIS: std::ops::Range<u64> = 0..700;
/// Between two kills.
const CALM_MILLIS: std::ops::Range<u64> = 50..600;
/// Between a kill and the restart: clients and orphans see the gap.
const DOWN_MILLIS: std::ops::Range<u64> = 0..150;

fn a_storm_of_kills_breaks_no_promise_with_seed_1() {
    storm(1);
}

fn a_storm_of_kills_breaks_no_promise_with_seed_2() {
    storm(2);
}

fn a_storm_of_kills_breaks_no_promise_with_seed_3() {
    storm(3);
}

fn a_storm_of_kills_breaks_no_promise_with_a_seed_of_choice() {
    let seed = std::env::var("FLUX_CRASH_SEED").ok();
    storm(seed.map_or(4, |seed| seed.parse().expect("FLUX_CRASH_SEED is a number")));
}

fn storm(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let (mut fleet, witness) = fleet();
    let caller = Caller::new(&fleet.api.url);
    let (history, over) = (History::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        // Also when an assertion of this thread fails: the scope waits for the others.
        let _over = Over(&over);
        let (caller, history, witness, over) = (&caller, &history, &witness, &over);
        for client in 0..ASYNC_CLIENTS + SYNC_CLIENTS {
            let mut random = random.fork();
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let millis = random.u64(RUN_MILLIS);
                    if client < ASYNC_CLIENTS {
                        history.told_async(caller.execute_async(witness, millis));
                    } else {
                        history.told_sync(caller.execute(witness, millis));
                    }
                    pause();
                }
            });
        }
        let mut random_looks = random.fork();
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if let Some(id) = history.some_promise(random_looks.u64(..)) {
                    history.look(caller, &id);
                }
                pause();
            }
        });
        for _ in 0..KILLS {
            rest(random.u64(CALM_MILLIS));
            let down = random.u64(DOWN_MILLIS);
            match random.u8(0..3) {
                0 => kill_agent(&mut fleet, witness, down),
                1 => kill_flux(&mut fleet, caller, down),
                _ => {
                    fleet.flux.kill9();
                    kill_agent(&mut fleet, witness, down);
                    restart_flux(&mut fleet, caller);
                }
            }
            let id = fleet.agents[0].id.clone();
            fleet.await_status(&id, "online");
        }
        rest(random.u64(CALM_MILLIS));
    });
    history.judge(&caller, &witness);
    notes::add(&format!("seed {seed}: {}", history.summary()));
    eventually("no process of any execution is left", || {
        witness.processes().is_empty().then_some(())
    });
}

/// The agent dies, its executions live on for a moment; when it serves again, all of them are dead.
fn kill_agent(fleet: &mut Fleet, witness: &Witness, down_millis: u64) {
    fleet.agents[0].daemon.kill9();
    rest(down_millis);
    let orphans = witness.processes();
    fleet.agents[0].restart();
    let survivors: Vec<_> = witness
        .processes()
        .intersection(&orphans)
        .cloned()
        .collect();
    assert!(
        survivors.is_empty(),
        "{survivors:?} outlived the agent that started them"
    );
}

fn kill_flux(fleet: &mut Fleet, caller: &Caller, down_millis: u64) {
    fleet.flux.kill9();
    rest(down_millis);
    restart_flux(fleet, caller);
}

fn restart_flux(fleet: &mut Fleet, caller: &Caller) {
    fleet.restart_flux();
    caller.moved(&fleet.api.url);
}

/// Lets time pass: the moment of a kill is the one thing here that no condition decides.
#[expect(
    clippy::disallowed_methods,
    reason = "a kill comes at a moment, not at a condition"
)]
fn rest(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Ends the clients when dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
