//! Properties of enrolment tokens.

use flux::store::EnrolmentToken;

use super::bench::{Bench, agent, at, at_once};

pub fn a_token_is_taken_once(bench: &dyn Bench) {
    let store = bench.open();
    assert_eq!(store.take_token("t1", at(0)).expect("take"), None);
    store.put_token(&token("t1"), at(0)).expect("put");
    store.put_token(&token("t2"), at(0)).expect("put");
    drop(store);
    let store = bench.open();
    let expected = Some(token("t1"));
    assert_eq!(store.peek_token("t1", at(1)).expect("peek"), expected);
    assert_eq!(store.take_token("t1", at(1)).expect("take"), expected);
    assert_eq!(store.take_token("t1", at(1)).expect("take"), None);
    assert_eq!(store.peek_token("t1", at(1)).expect("peek"), None);
    drop(store);
    let store = bench.open();
    assert_eq!(store.take_token("t1", at(1)).expect("take"), None);
    assert_eq!(
        store.take_token("t2", at(1)).expect("take"),
        Some(token("t2"))
    );
}

pub fn of_simultaneous_takers_one_gets_the_token(bench: &dyn Bench) {
    let store = bench.open();
    store.put_token(&token("t1"), at(0)).expect("put");
    let taken = at_once(|_| store.take_token("t1", at(1)).expect("take"));
    assert_eq!(taken.into_iter().flatten().count(), 1);
}

pub fn a_token_that_is_over_is_absent(bench: &dyn Bench) {
    let store = bench.open();
    store.put_token(&token("t1"), at(0)).expect("put");
    assert!(store.peek_token("t1", at(99)).expect("peek").is_some());
    assert_eq!(store.peek_token("t1", at(100)).expect("peek"), None);
    assert_eq!(store.take_token("t1", at(100)).expect("take"), None);
}

fn token(id: &str) -> EnrolmentToken {
    EnrolmentToken {
        id: id.to_owned(),
        agent: agent("a1"),
        secret: vec![0, 1, 255],
        expires_at: at(100),
    }
}
