//! Input and output: whole, apart, in order, and never in the way.

use std::fs::File;
use std::time::Duration;

use flux::model::execution::Ending;
use flux::sandbox::{CgroupMode, Control, Stdin, StopReason};

use super::place::{Counter, Mode, Place, eventually, strings};
use crate::runner::tests;

tests![
    the_two_streams_stay_apart_and_in_their_order in Mode::BOTH,
    bytes_come_through_as_they_are,
    a_hundred_megabytes_on_both_streams_are_drained_to_the_last_byte,
    what_a_program_wrote_last_is_there_even_when_it_was_killed in Mode::BOTH,
    what_is_in_the_pipe_when_a_cancel_comes_is_recorded in Mode::BOTH,
    a_program_that_closes_its_output_runs_on,
    a_program_that_never_stops_writing_is_cancelled_all_the_same in Mode::BOTH,
    standard_input_is_the_file_or_empty,
];

fn the_two_streams_stay_apart_and_in_their_order(mode: Mode) {
    let place = mode.place();
    let spec = place
        .shell("i=0; while [ $i -lt 2000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done");
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(0));
    let lines = |word: &str| -> String { (0..2000).map(|i| format!("{word} {i}\n")).collect() };
    assert_eq!(recorder.out(), lines("out"));
    assert_eq!(recorder.err(), lines("err"));
}

fn bytes_come_through_as_they_are() {
    let place = Place::new(CgroupMode::Auto);
    let (_, recorder) = place.run(&place.shell(r"printf '\377\000\r\nx'"));
    assert_eq!(recorder.stdout, b"\xff\0\r\nx");
}

fn a_hundred_megabytes_on_both_streams_are_drained_to_the_last_byte() {
    let place = Place::new(CgroupMode::Auto);
    let spec = place.shell("head -c 100000000 /dev/zero & head -c 50000000 /dev/zero >&2; wait");
    let control = Control::new().expect("control");
    let mut counter = Counter::default();
    let outcome = place.sandbox.run(&spec, &control, &mut counter);
    assert_eq!(outcome.ending, Ending::Exited(0));
    assert_eq!(counter.0, 150_000_000);
}

fn what_a_program_wrote_last_is_there_even_when_it_was_killed(mode: Mode) {
    let place = mode.place();
    // More than one read, all of it in the pipe when the leader dies.
    let spec = place.shell("head -c 60000 /dev/zero | tr '\\0' x; kill -KILL $$");
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Signalled(9));
    assert_eq!(recorder.stdout.len(), 60_000);
}

fn what_is_in_the_pipe_when_a_cancel_comes_is_recorded(mode: Mode) {
    let place = mode.place();
    let spec = place
        .shell("echo first; while [ ! -e go ]; do :; done; echo second; touch done; sleep 1000");
    let root = place.root().to_owned();
    let (outcome, recorder) = place.run_until(&spec, "first", move |control, _| {
        std::fs::File::create(root.join("go")).expect("a sign");
        eventually("the rest is in the pipe", || root.join("done").exists());
        control.stop(StopReason::Cancelled);
    });
    assert_eq!(outcome.ending, Ending::Cancelled);
    assert_eq!(recorder.out(), "first\nsecond\n");
}

fn a_program_that_closes_its_output_runs_on() {
    let place = Place::new(CgroupMode::Auto);
    let mut spec = place.shell("exec >&- 2>&-; sleep 0.3; exit 4");
    spec.pipe_grace = Duration::ZERO;
    let (outcome, _) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(4));
}

fn a_program_that_never_stops_writing_is_cancelled_all_the_same(mode: Mode) {
    let place = mode.place();
    let mut spec = place.spec("/usr/bin/yes");
    spec.args = strings(&["yes"]);
    let (outcome, _) = place.run_until(&spec, "yes", |control, _| {
        control.stop(StopReason::Cancelled);
    });
    assert_eq!(outcome.ending, Ending::Cancelled);
    assert!(outcome.tree_confirmed_dead);
}

fn standard_input_is_the_file_or_empty() {
    let place = Place::new(CgroupMode::Auto);
    let mut spec = place.spec("/bin/cat");
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(
        (outcome.ending, recorder.out().as_str()),
        (Ending::Exited(0), "")
    );
    let path = place.file("input", b"from a file", 0o600);
    spec.stdin = Stdin::File(File::open(path).expect("the file"));
    spec.execution_id = flux::model::ids::ExecutionId::generate();
    let (_, recorder) = place.run(&spec);
    assert_eq!(recorder.out(), "from a file");
}
