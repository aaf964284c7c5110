//! Which operations sync the disk, and what happens when that fails.

use std::cell::Cell;
use std::ffi::c_int;
use std::io::Write;

use flux::agent::journal::Journal;
use flux::model::ends::{Ended, EndedOutput, Ends, Mark};
use flux::model::ids::ExecutionId;
use flux::model::output::Output;
use flux::store::history::{
    EndStore, HistoryStore, KeptOutput, OutputStore, RecordStore, SqliteHistory,
};
use flux::store::{
    ArchiveStore, EmbeddedStore, FunctionStore, Idempotency, IdempotencyKey, KeyStore, RouteStore,
    Store, StoreError,
};

use super::values::{accepted, at, ended, id, route};
use crate::runner::tests;

tests![
    a_durable_acceptance_and_its_ending_cost_one_sync_each,
    an_execution_whose_caller_waits_costs_no_sync,
    the_level_of_one_commit_does_not_stick_to_the_next,
    reading_and_looking_cost_no_sync,
    a_lazily_stored_route_costs_nothing_and_shares_the_next_sync,
    every_change_of_the_store_that_returns_is_synced,
    an_archive_is_synced_and_then_its_name,
    a_failed_sync_acknowledges_nothing_and_the_next_write_works,
    an_archive_that_cannot_be_synced_is_not_stored,
    what_comes_home_is_on_disk_before_its_agent_may_forget_it,
];

thread_local! {
    // A lone submitter commits on its own thread, so each test sees its own syncs only.
    static SYNCS: Cell<u32> = const { Cell::new(0) };
    static FAIL: Cell<bool> = const { Cell::new(false) };
}

/// Replaces the C library's in this binary.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(descriptor: c_int) -> c_int {
    count_and_call(libc::SYS_fdatasync, descriptor)
}

/// Replaces the C library's in this binary.
#[unsafe(no_mangle)]
extern "C" fn fsync(descriptor: c_int) -> c_int {
    count_and_call(libc::SYS_fsync, descriptor)
}

fn count_and_call(call: libc::c_long, descriptor: c_int) -> c_int {
    SYNCS.set(SYNCS.get() + 1);
    let number = if FAIL.get() { -1 } else { descriptor };
    // SAFETY: both calls take one descriptor and touch no memory; -1 is none, which fails (EBADF).
    let result = unsafe { libc::syscall(call, number) };
    if result == 0 { 0 } else { -1 }
}

fn syncs_of<T>(operation: impl FnOnce() -> T) -> u32 {
    let before = SYNCS.get();
    operation();
    SYNCS.get() - before
}

fn failing<T>(operation: impl FnOnce() -> T) -> T {
    FAIL.set(true);
    let result = operation();
    FAIL.set(false);
    result
}

/// The first commit to a new log also syncs the log's header; the tests are about the others.
fn journal(directory: &tempfile::TempDir) -> Journal {
    let journal = Journal::open(directory.path()).expect("open");
    journal.accept(&accepted("first")).expect("accept");
    journal
}

fn store(directory: &tempfile::TempDir) -> EmbeddedStore {
    let store = EmbeddedStore::open(directory.path()).expect("open");
    store.put_route(&route("first")).expect("put");
    store
}

fn a_durable_acceptance_and_its_ending_cost_one_sync_each() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = journal(&directory);
    let syncs = syncs_of(|| journal.accept(&accepted("e1")).expect("accept"));
    assert_eq!(syncs, 1);
    let syncs = syncs_of(|| journal.finish(&ended("e1"), true).expect("finish"));
    assert_eq!(syncs, 1);
}

fn an_execution_whose_caller_waits_costs_no_sync() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = journal(&directory);
    let mut waiting = accepted("e1");
    waiting.durable = false;
    let syncs = syncs_of(|| {
        journal.accept(&waiting).expect("accept");
        journal.finish(&ended("e1"), false).expect("finish");
    });
    assert_eq!(syncs, 0);
    assert!(journal.get(&id("e1")).expect("get").is_some());
}

fn the_level_of_one_commit_does_not_stick_to_the_next() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = journal(&directory);
    for round in 0..20 {
        let (durable, waiting) = (format!("d{round}"), format!("w{round}"));
        let finish = |text: &str, durable| {
            let finish = || journal.finish(&ended(text), durable);
            syncs_of(|| finish().expect("finish"))
        };
        assert_eq!(finish(&waiting, false), 0, "round {round}");
        assert_eq!(finish(&durable, true), 1, "round {round}");
    }
}

fn reading_and_looking_cost_no_sync() {
    let directory = tempfile::tempdir().expect("tempdir");
    let (journal, store) = (journal(&directory), store(&directory));
    let syncs = syncs_of(|| {
        journal.get(&id("first")).expect("get");
        journal.list(&Default::default(), 10).expect("list");
        store.get_route(&id("first")).expect("get");
        store.get_route(&id("absent")).expect("get");
        store.list_functions().expect("list");
        store.check().expect("check");
    });
    assert_eq!(syncs, 0);
}

fn a_lazily_stored_route_costs_nothing_and_shares_the_next_sync() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = store(&directory);
    let syncs = syncs_of(|| {
        for number in 0..100 {
            store.put_route_lazily(&route(&format!("e{number}")));
        }
        store.get_route(&id("e99")).expect("get");
    });
    assert_eq!(syncs, 0);
    assert_eq!(
        syncs_of(|| store.put_route(&route("last")).expect("put")),
        1
    );
    store.put_route_lazily(&route("later"));
    assert_eq!(syncs_of(|| store.flush().expect("flush")), 0);
}

fn every_change_of_the_store_that_returns_is_synced() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = store(&directory);
    let key = IdempotencyKey::new(&route("e").function, "k");
    let ttl = std::time::Duration::from_secs(1);
    let begin = |execution: &ExecutionId| {
        let begun = store.begin_idempotent(&key, &[0; 32], execution, at(1), ttl);
        assert_eq!(begun.expect("begin"), Idempotency::New);
    };
    let e1 = id("e1");
    assert_eq!(syncs_of(|| store.put_route(&route("e1")).expect("put")), 1);
    let forget = || {
        store
            .forget_routes(std::slice::from_ref(&e1))
            .expect("forget")
    };
    assert_eq!(syncs_of(forget), 0, "what it leads to is known elsewhere");
    assert_eq!(syncs_of(|| begin(&e1)), 1);
    let abandon = || store.abandon_idempotent(&key, &e1).expect("abandon");
    assert_eq!(syncs_of(abandon), 1);
}

fn what_comes_home_is_on_disk_before_its_agent_may_forget_it() {
    let directory = tempfile::tempdir().expect("tempdir");
    let history = SqliteHistory::open(directory.path()).expect("open");
    let agent = ended("e1").agent;
    let with_output = |text: &str, output| Ended {
        record: ended(text),
        output,
    };
    let ends = |sequence, ended| Ends {
        mark: Mark {
            boot_id: "b".to_owned(),
            sequence,
        },
        ended: vec![(sequence, ended)],
        more: false,
    };
    let answered = with_output("e1", EndedOutput::Whole(Output::default()));
    history.keep(vec![answered.clone()]).expect("keep");
    let lazily = with_output("e2", EndedOutput::Whole(Output::default()));
    assert_eq!(syncs_of(|| history.keep_lazily(lazily.clone())), 0);
    assert_eq!(syncs_of(|| history.flush().expect("flush")), 0);
    let told = ends(1, lazily);
    let keep = || history.keep_ends(&agent, told).expect("keep");
    assert_eq!(syncs_of(keep), 1, "with what was written without one");
    let told = ends(2, with_output("e3", EndedOutput::AtAgent));
    let keep = || history.keep_ends(&agent, told).expect("keep");
    assert_eq!(syncs_of(keep), 1);
    let id = id("e3");
    let add = || history.add_output(&id, 0, b"out".to_vec()).expect("add");
    assert_eq!(syncs_of(add), 0);
    let whole = KeptOutput::whole(&Output::of_stdout(b"out".to_vec()));
    let complete = || history.complete_output(&id, &whole).expect("complete");
    assert_eq!(syncs_of(complete), 1);
    assert_eq!(syncs_of(|| history.keep(vec![answered]).expect("keep")), 0);
}

fn an_archive_is_synced_and_then_its_name() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = store(&directory);
    let mut upload = store.archive_scratch().expect("scratch");
    upload.write_all(b"code").expect("write");
    let syncs = syncs_of(|| store.put_archive(upload, None).expect("put"));
    assert_eq!(syncs, 2);
}

fn a_failed_sync_acknowledges_nothing_and_the_next_write_works() {
    let directory = tempfile::tempdir().expect("tempdir");
    let (journal, store) = (journal(&directory), store(&directory));
    failing(|| journal.accept(&accepted("e1"))).expect_err("not on disk");
    assert_eq!(journal.get(&id("e1")).expect("get"), None);
    let error = failing(|| store.put_route(&route("e1"))).expect_err("not on disk");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(store.get_route(&id("e1")).expect("get"), None);
    failing(|| store.check()).expect_err("writing does not work");
    store.check().expect("writing works again");
    journal.accept(&accepted("e1")).expect("accept");
    store.put_route(&route("e1")).expect("put");
    drop((journal, store));
    let journal = Journal::open(directory.path()).expect("reopen");
    for text in ["first", "e1"] {
        assert!(journal.get(&id(text)).expect("get").is_some(), "{text}");
    }
}

fn an_archive_that_cannot_be_synced_is_not_stored() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = store(&directory);
    let mut upload = store.archive_scratch().expect("scratch");
    upload.write_all(b"code").expect("write");
    failing(|| store.put_archive(upload, None)).expect_err("not on disk");
    let mut files = std::fs::read_dir(directory.path().join("archives")).expect("list");
    assert!(files.next().is_none());
}
