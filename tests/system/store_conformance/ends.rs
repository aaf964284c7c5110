//! Properties of the history's marks.

use flux::model::ends::{Ended, EndedOutput, Ends, Mark};
use flux::model::output::{Output, Segments};
use flux::store::history::{HistoryStore, KeptOutput, Wholeness};

use super::bench::{HistoryBench, agent, ended, ended_with, execution};

pub fn ends_are_kept_together_with_their_mark(bench: &dyn HistoryBench) {
    let history = bench.open();
    assert_eq!(history.mark(&agent("a1")).expect("mark"), None);
    keep(&*history, "a1", 2, vec![(1, ended("e1")), (2, ended("e2"))]);
    drop(history);
    let history = bench.open();
    assert_eq!(history.mark(&agent("a1")).expect("mark"), Some(mark(2)));
    assert_eq!(history.mark(&agent("a2")).expect("mark"), None);
    for id in ["e1", "e2"] {
        let found = history.get_record(&execution(id)).expect("get");
        assert_eq!(found, Some(ended(id).record));
    }
}

pub fn a_mark_follows_its_agent_also_back(bench: &dyn HistoryBench) {
    let history = bench.open();
    keep(&*history, "a1", 7, Vec::new());
    // The agent lost its disk, and counts anew.
    let anew = Mark {
        boot_id: "another".to_owned(),
        sequence: 1,
    };
    let ends = Ends {
        mark: anew.clone(),
        ended: vec![(1, ended("e1"))],
        more: false,
    };
    history.keep_ends(&agent("a1"), ends).expect("keep");
    assert_eq!(history.mark(&agent("a1")).expect("mark"), Some(anew));
}

pub fn an_end_that_came_with_its_answer_is_kept_once(bench: &dyn HistoryBench) {
    let history = bench.open();
    let answered = ended_with("e1", EndedOutput::Whole(stdout("out")));
    history.keep_lazily(answered.clone());
    keep(&*history, "a1", 1, vec![(1, answered)]);
    let listed = history.list_records(&Default::default(), 9).expect("list");
    assert_eq!(listed.len(), 1);
    let read = history.read_output(&execution("e1"), 0..9).expect("read");
    assert_eq!(read, b"out");
}

pub fn ends_are_released_up_to_the_first_output_that_is_not_here(bench: &dyn HistoryBench) {
    let history = bench.open();
    let released = || history.released_mark(&agent("a1")).expect("mark");
    assert_eq!(released(), None);
    let at_agent = |id: &str| ended_with(id, EndedOutput::AtAgent);
    // This one's answer came first, without a number.
    history.keep_lazily(at_agent("e2"));
    let ends = vec![(1, ended("e1")), (2, at_agent("e2")), (3, at_agent("e3"))];
    keep(&*history, "a1", 4, ends);
    assert_eq!(released(), Some(mark(1)));
    complete(&*history, "e2");
    assert_eq!(released(), Some(mark(2)));
    complete(&*history, "e3");
    assert_eq!(released(), Some(mark(4)));
}

pub fn a_forgotten_agent_takes_what_was_not_fetched(bench: &dyn HistoryBench) {
    let history = bench.open();
    let whole = ended_with("e1", EndedOutput::Whole(stdout("out")));
    let at_agent = ended_with("e2", EndedOutput::AtAgent);
    keep(&*history, "a1", 2, vec![(1, whole), (2, at_agent)]);
    history
        .add_output(&execution("e2"), 0, b"half".to_vec())
        .expect("add");
    history.forget_agent(&agent("a1")).expect("forget");
    assert_eq!(history.mark(&agent("a1")).expect("mark"), None);
    assert_eq!(history.outputs_at(&agent("a1"), 9).expect("look"), []);
    let read = |id: &str| history.read_output(&execution(id), 0..9).expect("read");
    assert_eq!((read("e1"), read("e2")), (b"out".to_vec(), Vec::new()));
    let output = history.output(&execution("e2")).expect("output");
    assert_eq!(output.expect("kept").wholeness, Wholeness::Partial);
    let record = history.get_record(&execution("e2")).expect("get");
    assert_eq!(record, Some(ended("e2").record));
}

fn keep(history: &dyn HistoryStore, id: &str, sequence: u64, ended: Vec<(u64, Ended)>) {
    let ends = Ends {
        mark: mark(sequence),
        ended,
        more: false,
    };
    history.keep_ends(&agent(id), ends).expect("keep");
}

fn complete(history: &dyn HistoryStore, id: &str) {
    let nothing = KeptOutput {
        wholeness: Wholeness::Partial,
        bytes: 0,
        segments: Segments::default(),
    };
    let completed = history.complete_output(&execution(id), &nothing);
    assert!(completed.expect("complete"));
}

fn stdout(text: &str) -> Output {
    Output::of_stdout(text.as_bytes().to_vec())
}

fn mark(sequence: u64) -> Mark {
    Mark {
        boot_id: "boot".to_owned(),
        sequence,
    }
}
