//! Properties of idempotency keys.

use std::time::Duration;

use flux::store::{Idempotency, IdempotencyKey, MAX_ANSWER_BYTES, Store, StoreError, StoredAnswer};

use crate::bench::{Bench, at, at_once, execution, function};

const TTL: Duration = Duration::from_millis(100);

pub fn a_key_is_claimed_once(bench: &dyn Bench) {
    let store = bench.open();
    assert_eq!(begin(&*store, "e1", 0), Idempotency::New);
    drop(store);
    let store = bench.open();
    assert_eq!(begin(&*store, "e2", 1), existing("e1", None));
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
    let winner = existing(&format!("e{}", winners[0]), None);
    assert_eq!(claims.iter().filter(|&claim| *claim == winner).count(), 7);
}

pub fn the_first_answer_is_given_again(bench: &dyn Bench) {
    let store = bench.open();
    begin(&*store, "e1", 0);
    let first = answer(200, b"{\"status\":\"success\"}\xff");
    assert!(finish(&*store, "e1", &first));
    assert!(!finish(&*store, "e1", &answer(500, b"")), "the first stays");
    drop(store);
    assert_eq!(begin(&*bench.open(), "e2", 50), existing("e1", Some(first)));
}

pub fn an_abandoned_key_is_free_and_an_answered_one_is_not(bench: &dyn Bench) {
    let store = bench.open();
    begin(&*store, "e1", 0);
    assert!(!abandon(&*store, "e2"), "somebody else's");
    assert!(abandon(&*store, "e1"));
    assert!(!abandon(&*store, "e1"));
    assert_eq!(begin(&*store, "e2", 1), Idempotency::New);
    assert!(finish(&*store, "e2", &answer(200, b"done")));
    assert!(!abandon(&*store, "e2"));
    assert_eq!(
        begin(&*store, "e3", 2),
        existing("e2", Some(answer(200, b"done")))
    );
}

pub fn a_key_is_free_again_after_its_time(bench: &dyn Bench) {
    let store = bench.open();
    begin(&*store, "e1", 0);
    finish(&*store, "e1", &answer(200, b"old"));
    assert_ne!(begin(&*store, "e2", 99), Idempotency::New);
    assert_eq!(store.expire_idempotent(at(99)).expect("expire"), 0);
    assert_eq!(begin(&*store, "e3", 100), Idempotency::New);
    assert_eq!(begin(&*store, "e4", 150), existing("e3", None));
    assert_eq!(store.expire_idempotent(at(200)).expect("expire"), 1);
    assert_eq!(begin(&*store, "e5", 150), Idempotency::New);
}

pub fn a_late_answer_does_not_reach_the_next_claim(bench: &dyn Bench) {
    let store = bench.open();
    begin(&*store, "e1", 0);
    begin(&*store, "e2", 100);
    assert!(!finish(&*store, "e1", &answer(200, b"late")));
    assert_eq!(begin(&*store, "e3", 101), existing("e2", None));
}

pub fn an_answer_that_is_too_long_is_refused(bench: &dyn Bench) {
    let store = bench.open();
    begin(&*store, "e1", 0);
    let too_long = answer(200, &vec![b'x'; MAX_ANSWER_BYTES + 1]);
    let error = store
        .finish_idempotent(&key(), &execution("e1"), &too_long)
        .expect_err("too long");
    assert!(
        matches!(error, StoreError::LimitReached { .. }),
        "{error:?}"
    );
    let longest = answer(200, &vec![b'x'; MAX_ANSWER_BYTES]);
    assert!(finish(&*store, "e1", &longest));
}

fn key() -> IdempotencyKey {
    IdempotencyKey::new(&function("f"), "k")
}

fn begin(store: &dyn Store, id: &str, now: i64) -> Idempotency {
    store
        .begin_idempotent(&key(), &[1; 32], &execution(id), at(now), TTL)
        .expect("begin")
}

fn finish(store: &dyn Store, id: &str, answer: &StoredAnswer) -> bool {
    store
        .finish_idempotent(&key(), &execution(id), answer)
        .expect("finish")
}

fn abandon(store: &dyn Store, id: &str) -> bool {
    store
        .abandon_idempotent(&key(), &execution(id))
        .expect("abandon")
}

fn existing(id: &str, answer: Option<StoredAnswer>) -> Idempotency {
    Idempotency::Existing {
        execution: execution(id),
        fingerprint: [1; 32],
        answer,
    }
}

fn answer(status: u16, body: &[u8]) -> StoredAnswer {
    StoredAnswer {
        status,
        body: body.to_vec(),
    }
}
