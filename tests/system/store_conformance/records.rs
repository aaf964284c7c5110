//! Properties of the history's records.

use flux::model::ends::{Ended, EndedOutput};
use flux::model::execution::{Ending, ExecutionRecord, Status};
use flux::model::ids::ExecutionId;
use flux::model::output::Output;
use flux::store::history::{Due, HistoryStore, RecordFilter};

use super::bench::{HistoryBench, at, at_once, ended, ended_with, execution, function};

pub fn an_execution_is_found_as_it_was_kept(bench: &dyn HistoryBench) {
    let history = bench.open();
    history.keep(vec![ended("e1"), ended("e2")]).expect("keep");
    drop(history);
    let found = bench.open().get_record(&execution("e1")).expect("get");
    assert_eq!(found, Some(ended("e1").record));
}

pub fn an_unknown_execution_is_absent_and_no_error(bench: &dyn HistoryBench) {
    let history = bench.open();
    assert_eq!(history.get_record(&execution("e1")).expect("get"), None);
    assert_eq!(history.output(&execution("e1")).expect("get"), None);
    assert_eq!(list(&*history, &RecordFilter::default()), [""; 0]);
    assert!(!history.reprieve(&execution("e1"), at(5)).expect("reprieve"));
    let forgotten = history.forget_records(&[execution("e1")]).expect("forget");
    assert_eq!(forgotten, 0);
}

pub fn a_lazily_kept_execution_is_visible_at_once_and_stays(bench: &dyn HistoryBench) {
    let history = bench.open();
    history.keep_lazily(ended_with("e1", EndedOutput::Whole(stdout("out"))));
    let found = history.get_record(&execution("e1")).expect("get");
    assert_eq!(found, Some(ended("e1").record));
    let output = history.read_output(&execution("e1"), 1..9).expect("read");
    assert_eq!(output, b"ut");
    assert_eq!(list(&*history, &RecordFilter::default()), ["e1"]);
    history.flush().expect("flush");
    drop(history);
    let history = bench.open();
    let found = history.get_record(&execution("e1")).expect("get");
    assert_eq!(found, Some(ended("e1").record));
    let output = history.read_output(&execution("e1"), 0..9).expect("read");
    assert_eq!(output, b"out");
}

pub fn the_first_record_of_an_execution_stays(bench: &dyn HistoryBench) {
    let history = bench.open();
    let other = Ended {
        record: ExecutionRecord {
            ending: Some(Ending::Lost),
            ..ended("e1").record
        },
        output: EndedOutput::Whole(stdout("other")),
    };
    history.keep_lazily(ended("e1"));
    history.keep_lazily(other.clone());
    let found = |history: &dyn HistoryStore| history.get_record(&execution("e1")).expect("get");
    assert_eq!(found(&*history), Some(ended("e1").record));
    history.keep(vec![other]).expect("keep");
    assert_eq!(found(&*history), Some(ended("e1").record));
    assert_eq!(list(&*history, &RecordFilter::default()), ["e1"]);
}

pub fn of_simultaneous_records_one_is_kept(bench: &dyn HistoryBench) {
    let history = bench.open();
    at_once(|i| {
        let ended = Ended {
            record: ExecutionRecord {
                ending: Some(Ending::Exited(i as i32)),
                ..ended("e1").record
            },
            output: EndedOutput::Whole(stdout(&i.to_string())),
        };
        history.keep(vec![ended]).expect("keep");
    });
    let record = history.get_record(&execution("e1")).expect("get");
    let Some(Ending::Exited(winner)) = record.and_then(|record| record.ending) else {
        panic!("no record");
    };
    let output = history.read_output(&execution("e1"), 0..9).expect("read");
    assert_eq!(output, winner.to_string().as_bytes(), "with its own output");
}

pub fn records_are_listed_newest_first_filtered_and_continued(bench: &dyn HistoryBench) {
    let history = bench.open();
    let with = |id: &str, name: &str, ending| Ended {
        record: ExecutionRecord {
            function: function(name),
            ending: Some(ending),
            ..ended(id).record
        },
        output: EndedOutput::AtAgent,
    };
    history
        .keep(vec![
            with("e2", "f", Ending::Exited(1)),
            with("e1", "f", Ending::Exited(0)),
            with("e4", "g", Ending::Cancelled),
            with("e3", "g", Ending::Exited(0)),
        ])
        .expect("keep");
    let filter = |name: Option<&str>, status, before: Option<&str>| RecordFilter {
        function: name.map(function),
        status,
        before: before.map(execution),
    };
    let listed = |filter| list(&*history, &filter);
    assert_eq!(listed(filter(None, None, None)), ["e4", "e3", "e2", "e1"]);
    assert_eq!(listed(filter(None, None, Some("e3"))), ["e2", "e1"]);
    assert_eq!(listed(filter(Some("g"), None, None)), ["e4", "e3"]);
    let success = Some(Status::Success);
    assert_eq!(listed(filter(None, success, None)), ["e3", "e1"]);
    assert_eq!(listed(filter(Some("f"), success, None)), ["e1"]);
    assert_eq!(listed(filter(Some("f"), success, Some("e1"))), [""; 0]);
    let two = history.list_records(&RecordFilter::default(), 2);
    assert_eq!(two.expect("list").len(), 2);
}

pub fn successes_and_others_are_due_at_their_own_age(bench: &dyn HistoryBench) {
    let history = bench.open();
    let at_age = |id: &str, ending, millis| Ended {
        record: ExecutionRecord {
            ending: Some(ending),
            status_at: at(millis),
            ..ended(id).record
        },
        output: EndedOutput::AtAgent,
    };
    history
        .keep(vec![
            at_age("old-failure", Ending::Exited(1), 1000),
            at_age("new-failure", Ending::Lost, 2000),
            at_age("old-success", Ending::Exited(0), 1000),
            at_age("new-success", Ending::Exited(0), 2000),
        ])
        .expect("keep");
    let due = |successes_before, others_before| {
        let due = Due {
            now: at(9000),
            successes_before: at(successes_before),
            others_before: at(others_before),
        };
        let due = history.due_records(&due, 9).expect("due");
        names(due.iter().map(ExecutionId::as_str))
    };
    assert_eq!(due(999, 999), [""; 0]);
    assert_eq!(due(1000, 0), ["old-success"]);
    assert_eq!(due(0, 1000), ["old-failure"]);
    assert_eq!(
        due(2000, 1000),
        ["new-success", "old-failure", "old-success"]
    );
}

pub fn a_reprieved_record_is_not_due_and_not_old_before_its_time(bench: &dyn HistoryBench) {
    let history = bench.open();
    history
        .keep(vec![
            ended_with("e1", EndedOutput::Whole(stdout("out"))),
            ended_with("e2", EndedOutput::Whole(stdout("out"))),
        ])
        .expect("keep");
    assert!(
        history
            .reprieve(&execution("e1"), at(100_000))
            .expect("reprieve")
    );
    for (now, expected) in [(99_999, vec!["e2"]), (100_000, vec!["e1", "e2"])] {
        let due = Due {
            now: at(now),
            successes_before: at(now),
            others_before: at(now),
        };
        let due = history.due_records(&due, 9).expect("due");
        assert_eq!(names(due.iter().map(ExecutionId::as_str)), expected);
        let oldest = history.oldest_records(at(now), 9).expect("oldest");
        assert_eq!(names(oldest.iter().map(|(id, _)| id.as_str())), expected);
        let oldest = history.oldest_outputs(at(now), 9).expect("oldest");
        assert_eq!(names(oldest.iter().map(|(id, _)| id.as_str())), expected);
    }
}

pub fn a_forgotten_record_takes_its_output_along(bench: &dyn HistoryBench) {
    let history = bench.open();
    let whole = |id: &str| ended_with(id, EndedOutput::Whole(stdout("out")));
    history.keep(vec![whole("e1"), whole("e2")]).expect("keep");
    let ids = [execution("e1"), execution("e9")];
    assert_eq!(history.forget_records(&ids).expect("forget"), 1);
    assert_eq!(history.get_record(&ids[0]).expect("get"), None);
    assert_eq!(history.read_output(&ids[0], 0..9).expect("read"), b"");
    assert_eq!(list(&*history, &RecordFilter::default()), ["e2"]);
    history.keep(vec![ended("e1")]).expect("keep");
    assert_eq!(history.read_output(&ids[0], 0..9).expect("read"), b"");
}

pub fn what_is_forgotten_gives_its_room_back(bench: &dyn HistoryBench) {
    let history = bench.open();
    let empty = history.used_bytes().expect("measure");
    let big = vec![7; 3 << 20];
    let output = EndedOutput::Whole(Output::of_stdout(big));
    history.keep(vec![ended_with("e1", output)]).expect("keep");
    let full = history.used_bytes().expect("measure");
    assert!(full >= empty + (3 << 20), "{full} over {empty}");
    history.forget_records(&[execution("e1")]).expect("forget");
    let after = history.used_bytes().expect("measure");
    assert!(after <= empty + (1 << 20), "{after} over {empty}");
    history.shrink(0).expect("shrink");
    assert!(history.used_bytes().expect("measure") <= after);
}

fn stdout(text: &str) -> Output {
    Output::of_stdout(text.as_bytes().to_vec())
}

fn list(history: &dyn HistoryStore, filter: &RecordFilter) -> Vec<String> {
    let records = history.list_records(filter, 9).expect("list");
    let ids = records.iter().map(|record| record.id.as_str().to_owned());
    ids.collect()
}

/// In the order of the alphabet.
fn names<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<_> = ids.map(str::to_owned).collect();
    names.sort();
    names
}
