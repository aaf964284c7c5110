//! Properties of versions.

use std::collections::BTreeSet;

use flux::model::function::{Function, Version};
use flux::store::{KEPT_VERSIONS, Store, StoreError, Stored, StoredArchive};

use super::bench::{Bench, archive, at, at_once, config, function};

pub fn versions_count_up_from_one_and_the_newest_is_active(bench: &dyn Bench) {
    let store = with_function(bench);
    let first = deploy(&*store, "one", 10);
    let second = deploy(&*store, "two", 20);
    assert_eq!(active(&first), 1);
    assert_eq!(active(&second), 2);
    assert_eq!(second.value.updated_at, at(20));
    let two = archive(&*store, "two");
    let newest = Version {
        number: 2,
        digest: two.digest,
        size_bytes: 3,
        created_at: at(20),
    };
    assert_eq!(second.value.active, Some(newest.clone()));
    drop(store);
    let listed = bench.open().list_versions(&function("f")).expect("list");
    assert_eq!(listed[0], newest);
    assert_eq!(listed[1].number, 1);
    assert_eq!(listed.len(), 2);
}

pub fn the_active_version_and_three_others_are_kept(bench: &dyn Bench) {
    assert_eq!(KEPT_VERSIONS, 3);
    let store = with_function(bench);
    for i in 1..=6 {
        deploy(&*store, &i.to_string(), i);
    }
    assert_eq!(numbers(&*store), [6, 5, 4, 3]);
}

pub fn a_number_is_never_given_twice_also_after_its_version_is_gone(bench: &dyn Bench) {
    let store = with_function(bench);
    for i in 1..=5 {
        deploy(&*store, &i.to_string(), i);
    }
    store
        .activate_version(&function("f"), 2, at(6))
        .expect("kept");
    for i in 6..=9 {
        deploy(&*store, &i.to_string(), i);
    }
    assert_eq!(numbers(&*store), [9, 8, 7, 6]);
    drop(store);
    assert_eq!(active(&deploy(&*bench.open(), "ten", 10)), 10);
}

pub fn deploying_what_is_active_makes_no_version(bench: &dyn Bench) {
    let store = with_function(bench);
    let first = deploy(&*store, "same", 1);
    assert_eq!(deploy(&*store, "same", 2), first);
    deploy(&*store, "other", 3);
    assert_eq!(
        active(&deploy(&*store, "same", 4)),
        3,
        "what was active before is a new version"
    );
}

pub fn a_rollback_puts_a_kept_version_in_force(bench: &dyn Bench) {
    let store = with_function(bench);
    let first = deploy(&*store, "one", 1);
    deploy(&*store, "two", 2);
    let back = store
        .activate_version(&function("f"), 1, at(3))
        .expect("kept");
    assert_eq!(back.value.active, first.value.active);
    assert_eq!(back.value.updated_at, at(3));
    assert_eq!(numbers(&*store), [2, 1], "and keeps the other");
    assert_eq!(
        store.get_function(&function("f")).expect("get"),
        Some(back.clone())
    );
    let again = store
        .activate_version(&function("f"), 1, at(9))
        .expect("kept");
    assert_eq!(again, back, "activating the active one changes nothing");
}

pub fn the_version_before_a_bad_deploy_is_kept_however_old_it_is(bench: &dyn Bench) {
    let store = with_function(bench);
    for i in 1..=4 {
        deploy(&*store, &i.to_string(), i);
    }
    store
        .activate_version(&function("f"), 1, at(5))
        .expect("kept");
    deploy(&*store, "bad", 6);
    assert_eq!(numbers(&*store), [5, 4, 3, 1]);
    store
        .activate_version(&function("f"), 1, at(7))
        .expect("what ran before the bad deploy");
}

pub fn a_version_that_is_not_kept_cannot_be_activated(bench: &dyn Bench) {
    let store = with_function(bench);
    for i in 1..=5 {
        deploy(&*store, &i.to_string(), i);
    }
    let before = store.get_function(&function("f")).expect("get");
    for number in [0, 1, 6, u64::MAX] {
        let error = store
            .activate_version(&function("f"), number, at(9))
            .expect_err("not kept");
        assert!(
            matches!(error, StoreError::VersionNotKept { number: n, .. } if n == number),
            "{error:?}"
        );
    }
    assert_eq!(store.get_function(&function("f")).expect("get"), before);
}

pub fn a_version_needs_its_function_and_its_archive(bench: &dyn Bench) {
    let store = with_function(bench);
    let stored = archive(&*store, "code");
    let unknown = store.add_version(&function("g"), &stored, at(1));
    assert!(matches!(unknown, Err(StoreError::FunctionNotFound { .. })));
    let unknown = store.activate_version(&function("g"), 1, at(1));
    assert!(matches!(unknown, Err(StoreError::FunctionNotFound { .. })));
    let absent = StoredArchive {
        digest: flux::model::ids::Digest::from_sha256([7; 32]),
        size_bytes: 1,
    };
    let missing = store.add_version(&function("f"), &absent, at(1));
    assert!(matches!(missing, Err(StoreError::ArchiveMissing { .. })));
    assert!(numbers(&*store).is_empty());
}

pub fn simultaneous_deploys_get_different_numbers(bench: &dyn Bench) {
    let store = with_function(bench);
    let deployed = at_once(|i| active(&deploy(&*store, &i.to_string(), 1)));
    let distinct: BTreeSet<_> = deployed.into_iter().collect();
    assert_eq!(distinct, (1..=8).collect());
}

fn with_function(bench: &dyn Bench) -> Box<dyn Store> {
    let store = bench.open();
    store.put_function(&config("f"), at(0)).expect("put");
    store
}

fn deploy(store: &dyn Store, content: &str, now: i64) -> Stored<Function> {
    let archive = archive(store, content);
    store
        .add_version(&function("f"), &archive, at(now))
        .expect("add")
}

fn active(function: &Stored<Function>) -> u64 {
    function.value.active.as_ref().expect("active").number
}

fn numbers(store: &dyn Store) -> Vec<u64> {
    let versions = store.list_versions(&function("f")).expect("list");
    versions.into_iter().map(|version| version.number).collect()
}
