//! Properties of the news: what has changed since somebody looked.

use std::time::{Duration, Instant};

use flux::base::cancel::{Cancel, pair};
use flux::model::agent::{Agent, AgentState};
use flux::store::{Changed, Changes, Revision, Store};

use super::bench::{Bench, agent as agent_id, archive, at, config, function};

/// Far above any wait that ends well.
const LONG: Duration = Duration::from_secs(60);

pub fn every_write_is_news_in_order_and_each_thing_once(bench: &dyn Bench) {
    let store = bench.open();
    let start = store.revision().expect("revision");
    assert_eq!(news(&*store, start), []);
    store.put_function(&config("f"), at(1)).expect("put");
    let revision = store.put_agent(&agent("a"), None).expect("put");
    store.put_function(&config("g"), at(1)).expect("put");
    let since = store.revision().expect("revision");
    let uploaded = archive(&*store, "x");
    store
        .add_version(&function("f"), &uploaded, at(2))
        .expect("deploy");
    let of_f = Changed::Function(function("f"));
    let of_g = Changed::Function(function("g"));
    let of_a = Changed::Agent(agent_id("a"));
    assert_eq!(
        news(&*store, start),
        [of_a.clone(), of_g.clone(), of_f.clone()]
    );
    assert_eq!(
        news(&*store, since),
        std::slice::from_ref(&of_f),
        "only what came after"
    );
    store
        .delete_agent(&agent_id("a"), revision)
        .expect("delete");
    store.delete_function(&function("g")).expect("delete");
    drop(store);
    let store = bench.open();
    assert_eq!(
        news(&*store, start),
        [of_f, of_a, of_g],
        "also what is gone"
    );
    let last = store.revision().expect("revision");
    assert_eq!(news(&*store, last), []);
}

pub fn what_changes_nothing_is_no_news(bench: &dyn Bench) {
    let store = bench.open();
    let first = store.put_function(&config("f"), at(1)).expect("put");
    let since = store.revision().expect("revision");
    assert_eq!(since, first.revision);
    let again = store.put_function(&config("f"), at(2)).expect("put");
    assert_eq!(again.revision, first.revision);
    assert_eq!(
        store.delete_function(&function("unknown")).expect("delete"),
        None
    );
    assert_eq!(news(&*store, since), []);
}

pub fn what_is_read_tells_the_revision_of_its_last_write(bench: &dyn Bench) {
    let store = bench.open();
    let put = store.put_function(&config("f"), at(1)).expect("put");
    let uploaded = archive(&*store, "x");
    let deployed = store
        .add_version(&function("f"), &uploaded, at(2))
        .expect("deploy");
    assert!(deployed.revision > put.revision);
    let read = store.get_function(&function("f")).expect("get");
    assert_eq!(read.as_ref(), Some(&deployed));
    assert_eq!(store.list_functions().expect("list"), [deployed]);
    let revision = store.put_agent(&agent("a"), None).expect("put");
    let read = store
        .get_agent(&agent_id("a"))
        .expect("get")
        .expect("there");
    assert_eq!((read.value, read.revision), (agent("a"), revision));
    assert_eq!(store.get_agent(&agent_id("b")).expect("get"), None);
}

pub fn who_has_missed_more_than_is_remembered_has_to_read_everything(bench: &dyn Bench) {
    let store = bench.open();
    store.put_function(&config("kept"), at(1)).expect("put");
    let early = store.revision().expect("revision");
    // More than any store has to remember of what is gone.
    for number in 0..1100 {
        let name = format!("f{number}");
        store.put_function(&config(&name), at(1)).expect("put");
        store.delete_function(&function(&name)).expect("delete");
    }
    let changes = store.changes_since(early).expect("changes");
    assert_eq!(changes, Changes::Everything);
    let late = store.revision().expect("revision");
    store.put_agent(&agent("a"), None).expect("put");
    assert_eq!(news(&*store, late), [Changed::Agent(agent_id("a"))]);
}

pub fn a_revision_that_is_still_to_come_is_of_another_store(bench: &dyn Bench) {
    let elsewhere = tempfile::tempdir().expect("tempdir");
    let other = flux::store::EmbeddedStore::open(elsewhere.path()).expect("open");
    let other: &dyn Store = &other;
    other.put_function(&config("f"), at(1)).expect("put");
    let ahead = other.revision().expect("revision");
    let changes = bench.open().changes_since(ahead).expect("changes");
    assert_eq!(changes, Changes::Everything);
}

pub fn who_waits_for_news_is_woken_by_a_write_a_pull_or_the_time(bench: &dyn Bench) {
    let store = bench.open();
    let since = store.revision().expect("revision");
    let started = Instant::now();
    store.await_changes(since, &Cancel::never(), Duration::from_millis(20));
    assert!(started.elapsed() >= Duration::from_millis(20));
    let (trigger, cancel) = pair();
    std::thread::scope(|scope| {
        scope.spawn(|| store.await_changes(since, &cancel, LONG));
        trigger.pull();
    });
    std::thread::scope(|scope| {
        scope.spawn(|| store.await_changes(since, &Cancel::never(), LONG));
        store.put_function(&config("f"), at(1)).expect("put");
    });
    // What was written before the wait began counts too.
    store.await_changes(since, &Cancel::never(), LONG);
    assert!(started.elapsed() < LONG, "somebody was not woken");
}

#[track_caller]
fn news(store: &dyn Store, since: Revision) -> Vec<Changed> {
    match store.changes_since(since).expect("changes") {
        Changes::These(changes) => {
            assert!(
                changes
                    .windows(2)
                    .all(|pair| pair[0].revision < pair[1].revision)
            );
            assert!(changes.iter().all(|change| change.revision > since));
            changes.into_iter().map(|change| change.what).collect()
        }
        Changes::Everything => panic!("nothing was forgotten"),
    }
}

fn agent(id: &str) -> Agent {
    Agent {
        id: agent_id(id),
        address: "10.0.0.1:50052".to_owned(),
        tls: true,
        state: AgentState::Offline,
        machine: None,
        registered_at: at(1),
    }
}
