//! Ends are told in order, whole, and once forgotten not made up again.

use std::time::Duration;

use super::{AcceptedExecution, ExecutionFilter, Journal};
use crate::base::clock::Timestamp;
use crate::model::ends::{Mark, Settled};
use crate::model::execution::{Ending, ExecutionRecord};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};

/// When everything here ends, in milliseconds.
const ENDED_AT: i64 = 2000;
const RETENTION: Duration = Duration::from_secs(3600);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn running(text: &str) -> ExecutionRecord {
    ExecutionRecord::accepted(
        ExecutionId::new(text).expect("id"),
        AgentId::new("a1").expect("id"),
        FunctionName::new("f").expect("name"),
        2,
        at(1000),
    )
}

fn lost(text: &str) -> ExecutionRecord {
    running(text).lost("nobody knows it", at(ENDED_AT))
}

fn finish(journal: &Journal, text: &str) {
    let ended = ExecutionRecord {
        ending: Some(Ending::Exited(0)),
        status_at: at(ENDED_AT),
        ..running(text)
    };
    journal.finish(&ended, false).expect("finish");
}

fn mark(journal: &Journal, sequence: u64) -> Mark {
    Mark {
        boot_id: journal.boot_id().to_owned(),
        sequence,
    }
}

fn after(journal: &Journal, mark: Option<&Mark>) -> Vec<(u64, String)> {
    let portion = journal.ends_after(mark, 100).expect("ends");
    let name = |record: ExecutionRecord| record.id.as_str().to_owned();
    portion
        .ends
        .into_iter()
        .map(|(sequence, record)| (sequence, name(record)))
        .collect()
}

fn numbered(ends: &[(u64, &str)]) -> Vec<(u64, String)> {
    ends.iter()
        .map(|&(sequence, name)| (sequence, name.to_owned()))
        .collect()
}

#[test]
fn ends_are_numbered_as_they_are_written_and_told_after_a_mark() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    assert_eq!(journal.latest(), mark(&journal, 0));
    let accepted = AcceptedExecution {
        record: running("c"),
        durable: true,
    };
    journal.accept(&accepted).expect("accept");
    for text in ["b", "a", "c"] {
        finish(&journal, text);
    }
    let all = numbered(&[(1, "b"), (2, "a"), (3, "c")]);
    assert_eq!(after(&journal, None), all);
    assert_eq!(after(&journal, Some(&mark(&journal, 1))), all[1..]);
    assert_eq!(after(&journal, Some(&journal.latest())), []);
    let portion = journal.ends_after(None, 2).expect("ends");
    assert_eq!((portion.after, portion.ends.len()), (0, 2));
    let filter = ExecutionFilter {
        ended_after: Some(mark(&journal, 1)),
        ..ExecutionFilter::default()
    };
    let listed = journal.list(&filter, 9).expect("list");
    let names: Vec<_> = listed.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(names, ["c", "a"], "newest first");
}

#[test]
fn a_mark_stays_good_after_a_restart_of_the_agent() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    finish(&journal, "a");
    finish(&journal, "b");
    let before = mark(&journal, 1);
    drop(journal);
    let journal = Journal::open(directory.path()).expect("open");
    journal
        .mark_lost(at(3000), "the agent ended", |_| [0, 0])
        .expect("mark");
    finish(&journal, "c");
    assert_ne!(journal.boot_id(), before.boot_id);
    assert_eq!(
        after(&journal, Some(&before)),
        numbered(&[(2, "b"), (3, "c")])
    );
}

#[test]
fn ends_that_a_power_cut_took_do_not_hide_those_that_get_their_numbers() {
    let (before, after_cut) = (
        tempfile::tempdir().expect("tempdir"),
        tempfile::tempdir().expect("tempdir"),
    );
    let journal = Journal::open(before.path()).expect("open");
    finish(&journal, "a");
    drop(journal);
    let survives = |name: &str| {
        std::fs::copy(before.path().join(name), after_cut.path().join(name)).expect("copy");
    };
    let journal = Journal::open(before.path()).expect("open");
    // What is on disk now is all that will be left.
    for name in ["journal.db", "journal.db-wal"] {
        survives(name);
    }
    finish(&journal, "b");
    finish(&journal, "c");
    let told = journal.latest();
    assert_eq!(told.sequence, 3);
    drop(journal);

    let journal = Journal::open(after_cut.path()).expect("open");
    finish(&journal, "d");
    assert_eq!(after(&journal, Some(&told)), numbered(&[(2, "d")]));
}

#[test]
fn a_mark_of_another_journal_means_that_nothing_is_known() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    finish(&journal, "a");
    let foreign = Mark {
        boot_id: "of a disk that was replaced".to_owned(),
        sequence: 100,
    };
    assert_eq!(after(&journal, Some(&foreign)), numbered(&[(1, "a")]));
    journal.note_kept(&foreign);
    let expired = journal.expire(at(i64::MAX), RETENTION, RETENTION);
    assert_eq!(expired.expect("expire").len(), 1, "nobody keeps it");
}

#[test]
fn what_a_control_plane_has_not_kept_stays_longer_once_one_keeps() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    let unkept = 10 * RETENTION;
    let expire = |journal: &Journal, age: Duration| -> Vec<String> {
        let expired = journal.expire(at(ENDED_AT).after(age), RETENTION, unkept);
        let ids = expired.expect("expire");
        ids.iter().map(|id| id.as_str().to_owned()).collect()
    };
    finish(&journal, "a");
    finish(&journal, "b");
    finish(&journal, "c");
    journal.note_kept(&mark(&journal, 1));
    assert_eq!(expire(&journal, RETENTION), ["a"]);
    drop(journal);

    let journal = Journal::open(directory.path()).expect("open");
    assert_eq!(
        expire(&journal, RETENTION),
        Vec::<String>::new(),
        "it is remembered how far they are kept"
    );
    journal.note_kept(&mark(&journal, 2));
    assert_eq!(expire(&journal, RETENTION), ["b"]);
    assert_eq!(expire(&journal, unkept), ["c"]);
}

#[test]
fn after_a_start_without_any_record_left_new_ends_are_not_taken_for_kept() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    let unkept = 10 * RETENTION;
    let expire = |journal: &Journal| {
        let now = at(ENDED_AT).after(RETENTION);
        journal
            .expire(now, RETENTION, unkept)
            .expect("expire")
            .len()
    };
    for id in ["a", "b", "c"] {
        finish(&journal, id);
    }
    journal.note_kept(&mark(&journal, 3));
    assert_eq!(expire(&journal), 3);
    drop(journal);

    let journal = Journal::open(directory.path()).expect("open");
    finish(&journal, "d");
    assert_eq!(expire(&journal), 0, "nobody has kept it");
    assert_eq!(after(&journal, None), numbered(&[(4, "d")]));
}

#[test]
fn what_changes_nothing_takes_no_number() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    finish(&journal, "a");
    journal.settle(&lost("a")).expect("settle");
    let again = ExecutionRecord {
        ending: Some(Ending::Exited(1)),
        ..running("a")
    };
    journal.finish(&again, false).expect_err("it has ended");
    assert_eq!(journal.latest().sequence, 1);
}

#[test]
fn a_control_plane_cannot_keep_what_it_was_not_told() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    journal.note_kept(&mark(&journal, u64::MAX - 1));
    finish(&journal, "a");
    let expired = journal.expire(at(ENDED_AT).after(RETENTION), RETENTION, 2 * RETENTION);
    assert_eq!(expired.expect("expire"), []);
}

#[test]
fn what_never_came_is_settled_as_lost_once_and_cannot_come_any_more() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    let settled = journal.settle(&lost("e1")).expect("settle");
    assert_eq!(settled, Settled::Ended(Box::new(lost("e1"))));
    for durable in [true, false] {
        let late = AcceptedExecution {
            record: running("e1"),
            durable,
        };
        assert!(journal.accept(&late).is_err());
    }
    let again = ExecutionRecord {
        error: "another text".to_owned(),
        ..lost("e1")
    };
    let settled = journal.settle(&again).expect("settle");
    assert_eq!(
        settled,
        Settled::Ended(Box::new(lost("e1"))),
        "the first one stands"
    );
    assert_eq!(after(&journal, None), numbered(&[(1, "e1")]), "it is told");
    assert!(journal.settle(&running("e2")).is_err());
}

#[test]
fn what_is_known_is_settled_as_it_is() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    let accepted = AcceptedExecution {
        record: running("runs"),
        durable: true,
    };
    journal.accept(&accepted).expect("accept");
    finish(&journal, "ended");
    let settled = |text| journal.settle(&lost(text)).expect("settle");
    assert_eq!(settled("runs"), Settled::Running);
    match settled("ended") {
        Settled::Ended(record) => assert_eq!(record.ending, Some(Ending::Exited(0))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_may_have_been_forgotten_is_not_called_lost() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    finish(&journal, "a");
    let expired = journal.expire(at(ENDED_AT).after(RETENTION), RETENTION, RETENTION);
    assert_eq!(expired.expect("expire").len(), 1);
    assert_eq!(
        journal.settle(&lost("a")).expect("settle"),
        Settled::Forgotten
    );
    let later = ExecutionRecord {
        started_at: at(ENDED_AT + 1),
        ..lost("b")
    };
    assert_eq!(
        journal.settle(&later).expect("settle"),
        Settled::Ended(Box::new(later.clone())),
        "it cannot be among those that were forgotten"
    );
}
