//! Properties of idempotency keys.

use std::time::Duration;

use flux::base::clock::Timestamp;
use flux::store::{Idempotency, IdempotencyKey, Store};

use super::bench::{Bench, at, at_once, execution, function};

const TTL: Duration = Duration::from_millis(100);

pub fn a_key_is_claimed_once(bench: &dyn Bench) {
    let store = bench.open();
    assert_eq!(begin(&*store, "e1", 0), Idempotency::New);
    drop(store);
    let store = bench.open();
    assert_eq!(begin(&*store, "e2", 1), existing("e1"));
    let other_function = IdempotencyKey::new(&function("g"), "k");
    let claimed = store
        .begin_idempotent(&other_function, &[1; 32], &execution("e3"), at(1), TTL)
        .expect("begin");
    assert_eq!(claimed, Idempotency::New, "keys are scoped by function");
}

pub fn of_simultaneous_claims_one_is_new(bench: &dyn Bench) {
    let store = bench.open();
    let claims = at_once(|i| begin(&*store, &format!("e{i}"), 0));
    let winners: Vec<_> = (0..claims.len())
        .filter(|&i| claims[i] == Idempotency::New)
        .collect();
    assert_eq!(winners.len(), 1);
    let winner = existing(&format!("e{}", winners[0]));
    assert_eq!(claims.iter().filter(|&claim| *claim == winner).count(), 7);
}

pub fn an_abandoned_key_is_free(bench: &dyn Bench) {
    let store = bench.open();
    begin(&*store, "e1", 0);
    assert!(!abandon(&*store, "e2"), "somebody else's");
    assert!(abandon(&*store, "e1"));
    assert!(!abandon(&*store, "e1"));
    assert_eq!(begin(&*store, "e2", 1), Idempotency::New);
}

pub fn a_key_is_free_again_after_its_time(bench: &dyn Bench) {
    let store = bench.open();
    begin(&*store, "e1", 0);
    assert_ne!(begin(&*store, "e2", 99), Idempotency::New);
    assert_eq!(store.expire_idempotent(at(99)).expect("expire"), 0);
    assert_eq!(begin(&*store, "e3", 100), Idempotency::New);
    assert_eq!(begin(&*store, "e4", 150), existing("e3"));
    assert_eq!(store.expire_idempotent(at(200)).expect("expire"), 1);
    assert_eq!(begin(&*store, "e5", 150), Idempotency::New);
}

pub fn an_execution_is_claimed_until_its_last_key_is_over(bench: &dyn Bench) {
    let store = bench.open();
    assert_eq!(claimed_until(&*store, "e1", 0), None);
    begin(&*store, "e1", 0);
    let second_key = IdempotencyKey::new(&function("f"), "second");
    store
        .begin_idempotent(&second_key, &[1; 32], &execution("e1"), at(50), TTL)
        .expect("begin");
    drop(store);
    let store = bench.open();
    assert_eq!(claimed_until(&*store, "e1", 0), Some(at(150)));
    assert_eq!(claimed_until(&*store, "e1", 149), Some(at(150)));
    assert_eq!(claimed_until(&*store, "e1", 150), None);
    assert_eq!(claimed_until(&*store, "e2", 0), None);
}

fn key() -> IdempotencyKey {
    IdempotencyKey::new(&function("f"), "k")
}

fn begin(store: &dyn Store, id: &str, now: i64) -> Idempotency {
    store
        .begin_idempotent(&key(), &[1; 32], &execution(id), at(now), TTL)
        .expect("begin")
}

fn abandon(store: &dyn Store, id: &str) -> bool {
    store
        .abandon_idempotent(&key(), &execution(id))
        .expect("abandon")
}

fn claimed_until(store: &dyn Store, id: &str, now: i64) -> Option<Timestamp> {
    store
        .claimed_until(&execution(id), at(now))
        .expect("claimed")
}

fn existing(id: &str) -> Idempotency {
    Idempotency::Existing {
        execution: execution(id),
        fingerprint: [1; 32],
    }
}
