//! How an execution ends, and that it ends once.

use std::time::{Duration, Instant};

use flux::model::execution::{Ending, Usage};
use flux::sandbox::{CgroupMode, Control, StopReason};

use super::place::{Mode, PATIENCE, Place, Recorder, eventually, is_alive};
use crate::runner::tests;

tests![
    an_exit_code_is_the_programs_own in Mode::BOTH,
    a_signal_that_flux_did_not_send_is_named,
    a_timeout_asks_first_and_records_what_is_said_to_it in Mode::BOTH,
    who_ignores_the_question_is_killed_after_the_grace in Mode::BOTH,
    a_cancel_kills_at_once_and_a_shutdown_leaves_the_execution_lost in Mode::BOTH,
    a_stop_before_the_start_keeps_the_program_from_running,
    an_end_that_was_seen_before_a_cancel_stays_the_end in Mode::BOTH,
    an_end_before_a_cancel_is_the_end_even_when_a_slow_sink_hid_it in Mode::BOTH,
    usage_counts_the_work_of_the_whole_tree,
];

fn an_exit_code_is_the_programs_own(mode: Mode) {
    let place = mode.place();
    for code in [0, 1, 7, 126, 127, 137, 255] {
        let (outcome, recorder) = place.run(&place.shell(&format!("exit {code}")));
        assert_eq!(outcome.ending, Ending::Exited(code));
        assert_eq!(outcome.error.is_empty(), code == 0, "{}", outcome.error);
        assert!(outcome.tree_confirmed_dead && !outcome.leaked_pipes);
        assert!(recorder.pid.is_some());
    }
}

fn a_signal_that_flux_did_not_send_is_named() {
    let place = Place::new(CgroupMode::Auto);
    for (signal, name) in [
        ("SEGV", "SIGSEGV"),
        ("KILL", "SIGKILL"),
        ("TERM", "SIGTERM"),
    ] {
        let (outcome, _) = place.run(&place.shell(&format!("kill -{signal} $$")));
        assert!(
            matches!(outcome.ending, Ending::Signalled(_)),
            "{outcome:?}"
        );
        assert!(outcome.error.contains(name), "{}", outcome.error);
    }
}

fn a_timeout_asks_first_and_records_what_is_said_to_it(mode: Mode) {
    let place = mode.place();
    let mut spec = place.shell("trap 'echo bye; exit 0' TERM; while :; do sleep 0.02; done");
    // Enough for a slow machine to set the trap.
    spec.limits.timeout = Some(Duration::from_secs(4));
    spec.kill_grace = PATIENCE;
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::TimedOut);
    assert_eq!(recorder.out(), "bye\n");
    assert!(outcome.error.contains("4s"), "{}", outcome.error);
    assert!(outcome.duration >= Duration::from_secs(4));
    assert!(outcome.duration < PATIENCE, "{outcome:?}");
}

fn who_ignores_the_question_is_killed_after_the_grace(mode: Mode) {
    let place = mode.place();
    let mut spec = place.shell("trap '' TERM; echo $$; while :; do sleep 1; done");
    spec.limits.timeout = Some(Duration::from_millis(1500));
    spec.kill_grace = Duration::from_millis(150);
    let began = Instant::now();
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::TimedOut);
    assert!(began.elapsed() >= Duration::from_millis(1650));
    assert!(outcome.tree_confirmed_dead);
    assert!(!is_alive(recorder.out().trim()));
}

fn a_cancel_kills_at_once_and_a_shutdown_leaves_the_execution_lost(mode: Mode) {
    let place = mode.place();
    for (reason, ending) in [
        (StopReason::Cancelled, Ending::Cancelled),
        (StopReason::Shutdown, Ending::Lost),
    ] {
        let spec = place.shell("trap '' TERM; echo ready; sleep 1000; exit 0");
        let (outcome, _) = place.run_until(&spec, "ready", move |control, _| control.stop(reason));
        assert_eq!(outcome.ending, ending);
        assert!(!outcome.error.is_empty());
        assert!(outcome.tree_confirmed_dead);
    }
}

fn a_stop_before_the_start_keeps_the_program_from_running() {
    let place = Place::new(CgroupMode::Auto);
    for (reason, ending) in [
        (StopReason::Cancelled, Ending::Cancelled),
        (StopReason::Shutdown, Ending::Lost),
    ] {
        let control = Control::new().expect("control");
        control.stop(reason);
        let mut recorder = Recorder::default();
        let outcome = place
            .sandbox
            .run(&place.shell("touch ran"), &control, &mut recorder);
        assert_eq!(outcome.ending, ending);
        assert_eq!(outcome.usage, Usage::default());
        assert_eq!(recorder.pid, None);
        assert!(!place.root().join("ran").exists());
    }
}

fn an_end_that_was_seen_before_a_cancel_stays_the_end(mode: Mode) {
    let place = mode.place();
    // The child writes once its parent is a zombie, and keeps the pipe open.
    let mut spec = place.shell(
        "leader=$$
         (while [ \"$(cut -d' ' -f3 /proc/$leader/stat)\" != Z ]; do :; done; echo late; sleep 1000) &
         exit 3",
    );
    spec.pipe_grace = Duration::from_secs(20);
    let (outcome, _) = place.run_until(&spec, "late", |control, _| {
        control.stop(StopReason::Cancelled);
    });
    assert_eq!(outcome.ending, Ending::Exited(3));
    assert!(outcome.tree_confirmed_dead);
}

fn an_end_before_a_cancel_is_the_end_even_when_a_slow_sink_hid_it(mode: Mode) {
    let place = mode.place();
    let spec = place.shell("echo $$; while [ ! -e go ]; do :; done; exit 3");
    let root = place.root().to_owned();
    let (outcome, _) = place.run_until(&spec, "\n", move |control, out| {
        std::fs::File::create(root.join("go")).expect("a sign");
        eventually("the leader has ended", || !is_alive(out.trim()));
        control.stop(StopReason::Cancelled);
    });
    assert_eq!(outcome.ending, Ending::Exited(3));
}

fn usage_counts_the_work_of_the_whole_tree() {
    let place = Place::new(CgroupMode::Auto);
    let spec = place.shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    let (outcome, _) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(0));
    assert!(
        outcome.usage.cpu > Duration::from_millis(10),
        "{:?}",
        outcome.usage
    );
    assert!(outcome.usage.cpu <= outcome.duration * 2, "{outcome:?}");
}
