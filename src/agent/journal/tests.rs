//! The promises of this module, on real files. Kills, power and full disks are in
//! `tests/system/durability`.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{AcceptedExecution, ExecutionFilter, HeldFunction, Journal, JournalError, MAX_LISTED};
use crate::base::clock::Timestamp;
use crate::model::execution::{Ending, ExecutionRecord, Status, Usage};
use crate::model::function::{Behavior, Code, Env, FunctionConfig, HandlerPath};
use crate::model::ids::{AgentId, Digest, ExecutionId, FunctionName};
use crate::model::isolation::IsolationRequest;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn id(text: &str) -> ExecutionId {
    ExecutionId::new(text).expect("id")
}

fn running(text: &str) -> ExecutionRecord {
    ExecutionRecord {
        queued: Duration::from_millis(5),
        ..ExecutionRecord::accepted(
            id(text),
            AgentId::new("a1").expect("id"),
            FunctionName::new("f").expect("name"),
            2,
            at(1000),
        )
    }
}

fn ended(text: &str, ending: Ending) -> ExecutionRecord {
    ExecutionRecord {
        ending: Some(ending),
        error: "because".to_owned(),
        status_at: at(2000),
        duration: Duration::from_millis(1000),
        stdout_bytes: 10,
        usage: Usage {
            cpu: Duration::from_micros(1234),
            ..Usage::default()
        },
        ..running(text)
    }
}

fn accept(journal: &Journal, text: &str, durable: bool) -> Result<(), JournalError> {
    journal.accept(&AcceptedExecution {
        record: running(text),
        durable,
    })
}

fn listed(journal: &Journal, filter: &ExecutionFilter, limit: usize) -> Vec<String> {
    let records = journal.list(filter, limit).expect("list");
    records
        .iter()
        .map(|record| record.id.as_str().to_owned())
        .collect()
}

/// Milliseconds.
const RETENTION: i64 = 7000;

fn expire(journal: &Journal, now: i64) -> Vec<ExecutionId> {
    let retention = Duration::from_millis(RETENTION.unsigned_abs());
    journal
        .expire(at(now), retention, Duration::ZERO)
        .expect("expire")
}

#[test]
fn an_execution_is_recorded_running_and_then_ended() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    assert_eq!(journal.get(&id("e1")).expect("get"), None);
    accept(&journal, "e1", true).expect("accept");
    assert_eq!(journal.get(&id("e1")).expect("get"), Some(running("e1")));
    let end = ended("e1", Ending::Exited(3));
    journal.finish(&end, true).expect("finish");
    assert_eq!(journal.get(&id("e1")).expect("get"), Some(end.clone()));
    drop(journal);
    let journal = Journal::open(directory.path()).expect("reopen");
    assert_eq!(journal.get(&id("e1")).expect("get"), Some(end));
}

#[test]
fn an_id_is_accepted_once_whether_durable_or_not() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    accept(&journal, "e1", true).expect("accept");
    let end = ended("e2", Ending::Exited(0));
    journal.finish(&end, false).expect("finish");
    for (text, durable) in [("e1", true), ("e1", false), ("e2", true), ("e2", false)] {
        let error = accept(&journal, text, durable).expect_err(text);
        assert!(matches!(error, JournalError::Exists { .. }), "{error:?}");
    }
    assert_eq!(journal.get(&id("e1")).expect("get"), Some(running("e1")));
    assert_eq!(journal.get(&id("e2")).expect("get"), Some(end));
}

#[test]
fn an_execution_that_is_not_durable_is_recorded_when_it_ends() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    accept(&journal, "e1", false).expect("accept");
    assert_eq!(journal.get(&id("e1")).expect("get"), None);
    let end = ended("e1", Ending::TimedOut);
    journal.finish(&end, false).expect("finish");
    assert_eq!(journal.get(&id("e1")).expect("get"), Some(end));
}

#[test]
fn the_first_ending_stands() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    accept(&journal, "e1", true).expect("accept");
    let first = ended("e1", Ending::Cancelled);
    journal.finish(&first, true).expect("finish");
    for ending in [Ending::Exited(0), Ending::Lost, Ending::Cancelled] {
        for durable in [true, false] {
            let error = journal
                .finish(&ended("e1", ending), durable)
                .expect_err("ended");
            assert!(
                matches!(error, JournalError::AlreadyEnded { .. }),
                "{error:?}"
            );
        }
    }
    assert_eq!(journal.get(&id("e1")).expect("get"), Some(first));
    assert_eq!(expire(&journal, 8999), []);
}

#[test]
fn of_simultaneous_endings_one_is_recorded() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    accept(&journal, "e1", true).expect("accept");
    let endings = [
        Ending::Cancelled,
        Ending::Exited(0),
        Ending::TimedOut,
        Ending::OutOfMemory,
        Ending::OutOfDisk,
    ];
    let won: Vec<Ending> = std::thread::scope(|scope| {
        let threads = endings.map(|ending| {
            let journal = &journal;
            scope.spawn(move || {
                let result = journal.finish(&ended("e1", ending), true);
                result.is_ok().then_some(ending)
            })
        });
        threads
            .into_iter()
            .filter_map(|thread| thread.join().expect("join"))
            .collect()
    });
    assert_eq!(won.len(), 1);
    let record = journal.get(&id("e1")).expect("get").expect("there");
    assert_eq!(record.ending, Some(won[0]));
}

#[test]
fn a_record_at_the_wrong_stage_is_refused() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    let accepted = AcceptedExecution {
        record: ended("e1", Ending::Lost),
        durable: true,
    };
    assert!(matches!(
        journal.accept(&accepted),
        Err(JournalError::WrongStage { .. })
    ));
    assert!(matches!(
        journal.finish(&running("e1"), true),
        Err(JournalError::WrongStage { .. })
    ));
    assert_eq!(journal.get(&id("e1")).expect("get"), None);
}

#[test]
fn what_is_found_running_ends_as_lost_exactly_once() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    for text in ["e1", "e2", "e3"] {
        accept(&journal, text, true).expect("accept");
    }
    let kept = ended("e2", Ending::Exited(0));
    journal.finish(&kept, true).expect("finish");
    drop(journal);
    let journal = Journal::open(directory.path()).expect("reopen");
    let lost = journal
        .mark_lost(at(4000), "the agent ended", |_| [7, 2])
        .expect("mark");
    assert_eq!(lost, [id("e1"), id("e3")]);
    let expected = ExecutionRecord {
        ending: Some(Ending::Lost),
        error: "the agent ended".to_owned(),
        status_at: at(4000),
        duration: Duration::from_secs(3),
        stdout_bytes: 7,
        stderr_bytes: 2,
        ..running("e1")
    };
    assert_eq!(journal.get(&id("e1")).expect("get"), Some(expected));
    assert_eq!(journal.get(&id("e2")).expect("get"), Some(kept));
    let again = journal
        .mark_lost(at(5000), "again", |_| [0, 0])
        .expect("mark");
    assert_eq!(again, []);
    assert_eq!(expire(&journal, 4000 + RETENTION).len(), 3);
}

#[test]
fn lists_are_newest_first_filtered_and_continued() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    for (number, ending) in [
        (1, Some(Ending::Exited(0))),
        (2, Some(Ending::Exited(1))),
        (3, None),
        (4, Some(Ending::Cancelled)),
        (5, Some(Ending::Exited(0))),
    ] {
        accept(&journal, &format!("e{number}"), true).expect("accept");
        if let Some(ending) = ending {
            let end = ended(&format!("e{number}"), ending);
            journal.finish(&end, true).expect("finish");
        }
    }
    let g = FunctionName::new("g").expect("name");
    let of_g = ExecutionRecord {
        function: g.clone(),
        ..ended("zz", Ending::Exited(0))
    };
    journal.finish(&of_g, false).expect("finish");
    let all = ExecutionFilter::default();
    assert_eq!(
        listed(&journal, &all, 100),
        ["zz", "e5", "e4", "e3", "e2", "e1"]
    );
    assert_eq!(listed(&journal, &all, 2), ["zz", "e5"]);
    let next = ExecutionFilter {
        before: Some(id("e5")),
        ..all
    };
    assert_eq!(listed(&journal, &next, 2), ["e4", "e3"]);
    let by = |function: Option<&str>, status, before: Option<&str>| ExecutionFilter {
        function: function.map(|name| FunctionName::new(name).expect("name")),
        status,
        before: before.map(id),
        ended_after: None,
    };
    let success = Some(Status::Success);
    assert_eq!(listed(&journal, &by(Some("g"), None, None), 9), ["zz"]);
    assert_eq!(
        listed(&journal, &by(Some("f"), None, Some("e3")), 9),
        ["e2", "e1"]
    );
    assert_eq!(
        listed(&journal, &by(None, success, None), 9),
        ["zz", "e5", "e1"]
    );
    assert_eq!(
        listed(&journal, &by(Some("f"), success, None), 9),
        ["e5", "e1"]
    );
    for (status, expected) in [
        (Status::Running, "e3"),
        (Status::Failed, "e2"),
        (Status::Cancelled, "e4"),
    ] {
        assert_eq!(
            listed(&journal, &by(None, Some(status), None), 9),
            [expected]
        );
    }
    assert!(listed(&journal, &by(Some("g"), Some(Status::Failed), None), 9).is_empty());
}

#[test]
fn a_list_is_bounded_whatever_is_asked_for_and_expiry_comes_in_portions() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    let count = MAX_LISTED + 5;
    for number in 0..count {
        let end = ended(&format!("e{number:05}"), Ending::Exited(0));
        journal.finish(&end, false).expect("finish");
    }
    let all = ExecutionFilter::default();
    assert_eq!(listed(&journal, &all, usize::MAX).len(), MAX_LISTED);
    let mut expired = Vec::new();
    loop {
        let portion = expire(&journal, 9000);
        if portion.is_empty() {
            break;
        }
        expired.extend(portion);
    }
    expired.sort();
    expired.dedup();
    assert_eq!(expired.len(), count);
    assert!(listed(&journal, &all, 10).is_empty());
}

#[test]
fn a_record_expires_after_its_end_and_never_while_it_runs() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    accept(&journal, "e1", true).expect("accept");
    assert_eq!(expire(&journal, i64::MAX), []);
    let end = ended("e1", Ending::Exited(0));
    journal.finish(&end, true).expect("finish");
    assert_eq!(expire(&journal, 8999), []);
    assert_eq!(expire(&journal, 9000), [id("e1")]);
    assert_eq!(journal.get(&id("e1")).expect("get"), None);
}

#[test]
fn functions_held_are_known_after_a_restart() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    let mut with_code = held("b");
    with_code.code = Some(Code {
        version: 7,
        digest: Digest::from_sha256([7; 32]),
    });
    for function in [&held("c"), &held("b"), &with_code, &held("a")] {
        journal.put_function(function).expect("put");
    }
    let c = FunctionName::new("c").expect("name");
    assert!(journal.remove_function(&c).expect("remove"));
    assert!(!journal.remove_function(&c).expect("remove"));
    drop(journal);
    let journal = Journal::open(directory.path()).expect("reopen");
    assert_eq!(
        journal.list_functions().expect("list"),
        [held("a"), with_code]
    );
}

#[test]
fn a_second_agent_on_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    let error = Journal::open(directory.path())
        .map(|_| ())
        .expect_err("held");
    let JournalError::Storage(crate::base::sqlite::SqliteError::File(cause)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(cause.source.kind(), std::io::ErrorKind::WouldBlock);
    drop(journal);
    Journal::open(directory.path()).expect("after release");
}

#[test]
fn a_broken_record_is_named_and_does_not_hide_the_others() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    accept(&journal, "e1", true).expect("accept");
    accept(&journal, "e2", true).expect("accept");
    drop(journal);
    let raw = rusqlite::Connection::open(directory.path().join("journal.db")).expect("open");
    raw.execute("UPDATE executions SET body = '{}' WHERE id = 'e1'", ())
        .expect("break");
    drop(raw);
    let journal = Journal::open(directory.path()).expect("reopen");
    let error = journal.get(&id("e1")).expect_err("broken");
    assert!(
        matches!(&error, JournalError::Corrupt(entry) if entry.key == "e1"),
        "{error:?}"
    );
    assert!(journal.get(&id("e2")).expect("get").is_some());
}

#[test]
fn no_two_functions_are_recorded_with_one_user() {
    let directory = tempfile::tempdir().expect("tempdir");
    let journal = Journal::open(directory.path()).expect("open");
    let of = |name| HeldFunction {
        uid: Some(70_000),
        ..held(name)
    };
    journal.put_function(&of("f")).expect("the first");
    assert!(journal.put_function(&of("g")).is_err());
    assert_eq!(journal.list_functions().expect("list"), [of("f")]);
    journal
        .remove_function(&FunctionName::new("f").expect("name"))
        .expect("removed");
    journal.put_function(&of("g")).expect("free again");
}

fn held(name: &str) -> HeldFunction {
    HeldFunction {
        uid: None,
        config: FunctionConfig {
            disk: None,
            pids: None,
            isolation: IsolationRequest::default(),
            name: FunctionName::new(name).expect("name"),
            handler: HandlerPath::new("run").expect("handler"),
            cpu_millicores: None,
            memory: None,
            timeout: Some(Duration::from_secs(1)),
            max_concurrency: NonZeroU32::MIN,
            max_concurrency_behavior: Behavior::Exit,
            resource_pressure_behavior: Behavior::Wait,
            max_wait: Duration::from_secs(2),
            env: Env::new(),
        },
        config_digest: "abc".to_owned(),
        code: None,
    }
}
