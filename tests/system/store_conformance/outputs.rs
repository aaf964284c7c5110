//! Properties of the history's output.

use flux::model::ends::EndedOutput;
use flux::model::output::{Output, Segments};
use flux::store::history::{HistoryStore, KeptOutput, Wholeness};

use super::bench::{HistoryBench, agent, at, ended, ended_with, execution};

pub fn output_reads_back_from_any_position(bench: &dyn HistoryBench) {
    let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i % 251) as u8).collect();
    let output = Output {
        segments: Segments::from_starts(vec![0, 400_000], 700_000).expect("starts"),
        bytes: bytes.clone(),
    };
    let history = bench.open();
    let whole = EndedOutput::Whole(output.clone());
    history.keep(vec![ended_with("e1", whole)]).expect("keep");
    drop(history);
    let history = bench.open();
    assert_eq!(kept(&*history, "e1"), KeptOutput::whole(&output));
    for range in [
        0..700_000,
        0..1,
        262_143..262_145,
        699_999..700_000,
        5..600_000,
    ] {
        let read = history.read_output(&execution("e1"), range.clone());
        let expected = &bytes[range.start as usize..range.end as usize];
        assert!(read.expect("read") == expected, "{range:?}");
    }
    let beyond = history.read_output(&execution("e1"), 699_990..u64::MAX);
    assert_eq!(beyond.expect("read").len(), 10);
    for empty in [700_000..800_000, 5..5] {
        assert_eq!(
            history.read_output(&execution("e1"), empty).expect("read"),
            b""
        );
    }
}

pub fn output_that_comes_later_is_taken_up_once(bench: &dyn HistoryBench) {
    let history = bench.open();
    let with = |output| vec![ended_with("e1", output)];
    let whole = |text: &str| EndedOutput::Whole(Output::of_stdout(text.as_bytes().to_vec()));
    history.keep(with(EndedOutput::AtAgent)).expect("keep");
    assert_eq!(kept(&*history, "e1").wholeness, Wholeness::AtAgent);
    history.keep(with(whole("first"))).expect("keep");
    history.keep(with(whole("second"))).expect("keep");
    assert_eq!(kept(&*history, "e1").wholeness, Wholeness::Whole);
    let read = history.read_output(&execution("e1"), 0..9).expect("read");
    assert_eq!(read, b"first");
}

pub fn output_is_fetched_in_pieces_and_again_after_a_failure(bench: &dyn HistoryBench) {
    let history = bench.open();
    let id = execution("e1");
    history
        .keep(vec![ended_with("e1", EndedOutput::AtAgent)])
        .expect("keep");
    assert!(history.add_output(&id, 0, b"torn".to_vec()).expect("add"));
    drop(history);
    let history = bench.open();
    for (position, piece) in [(0, "out"), (3, "err"), (6, "end")] {
        let piece = piece.as_bytes().to_vec();
        assert!(history.add_output(&id, position, piece).expect("add"));
    }
    assert_eq!(kept(&*history, "e1").wholeness, Wholeness::AtAgent);
    let whole = KeptOutput {
        wholeness: Wholeness::Whole,
        bytes: 9,
        segments: Segments::from_starts(vec![3, 6], 9).expect("starts"),
    };
    assert!(history.complete_output(&id, &whole).expect("complete"));
    assert_eq!(kept(&*history, "e1"), whole);
    assert_eq!(history.read_output(&id, 0..9).expect("read"), b"outerrend");
    assert!(!history.add_output(&id, 9, b"late".to_vec()).expect("add"));
    assert!(!history.complete_output(&id, &whole).expect("complete"));
}

pub fn output_that_nobody_waits_for_is_not_added(bench: &dyn HistoryBench) {
    let history = bench.open();
    history.keep(vec![ended("whole")]).expect("keep");
    for id in ["whole", "unknown"] {
        let added = history.add_output(&execution(id), 0, b"x".to_vec());
        assert!(!added.expect("add"), "{id}");
    }
}

pub fn outputs_that_are_still_at_an_agent_are_named(bench: &dyn HistoryBench) {
    let history = bench.open();
    history
        .keep(vec![
            ended_with("e1", EndedOutput::AtAgent),
            ended_with("e2", EndedOutput::AtAgent),
            ended("whole"),
        ])
        .expect("keep");
    let at_agent = |id: &str, limit| {
        let ids = history.outputs_at(&agent(id), limit).expect("look");
        let mut names: Vec<_> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(at_agent("a1", 9), ["e1", "e2"]);
    assert_eq!(at_agent("a1", 1).len(), 1);
    assert_eq!(at_agent("a2", 9), [""; 0]);
}

pub fn forgotten_output_leaves_its_record(bench: &dyn HistoryBench) {
    let history = bench.open();
    let whole = EndedOutput::Whole(Output::of_stdout(b"out".to_vec()));
    history
        .keep(vec![ended_with("e1", whole), ended("silent")])
        .expect("keep");
    let oldest = history.oldest_outputs(at(i64::MAX), 9).expect("oldest");
    assert_eq!(oldest, [(execution("e1"), 3)], "there is none of the other");
    history.forget_outputs(&[execution("e1")]).expect("forget");
    let gone = KeptOutput {
        wholeness: Wholeness::Partial,
        bytes: 0,
        segments: Segments::default(),
    };
    assert_eq!(kept(&*history, "e1"), gone);
    let read = history.read_output(&execution("e1"), 0..9).expect("read");
    assert_eq!(read, b"");
    let found = history.get_record(&execution("e1")).expect("get");
    assert_eq!(found, Some(ended("e1").record));
    assert_eq!(history.oldest_outputs(at(i64::MAX), 9).expect("oldest"), []);
}

fn kept(history: &dyn HistoryStore, id: &str) -> KeptOutput {
    let output = history.output(&execution(id)).expect("read");
    output.expect("kept")
}
