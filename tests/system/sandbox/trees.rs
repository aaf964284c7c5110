//! Nobody of an execution outlives it.

use std::time::{Duration, Instant};

use flux::model::execution::Ending;
use flux::sandbox::StopReason;

use super::place::{Mode, PATIENCE, eventually, is_alive};
use crate::runner::tests;

tests![
    a_cancel_kills_daemons_that_hold_the_pipes_before_it_returns in Mode::EVERY,
    a_timeout_kills_daemons_too in Mode::EVERY,
    background_processes_do_not_survive_their_execution in Mode::EVERY,
    a_pipe_that_a_background_process_holds_costs_the_grace_and_no_more in Mode::EVERY,
    what_is_written_within_the_grace_is_recorded in Mode::EVERY,
    a_crowd_of_processes_dies_whole in Mode::EVERY,
    with_a_cgroup_nobody_escapes_by_hiding_every_trace in Mode::IN_CGROUPS,
    a_process_whose_first_thread_has_ended_dies_with_the_tree in Mode::EVERY,
];

/// Starts a process in a session of its own, whose parent is gone, which holds both pipes and ignores
/// what can be ignored; prints its number, then `ready`.
const DAEMON: &str =
    "setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & echo $!' ; echo ready; sleep 1000";

fn a_cancel_kills_daemons_that_hold_the_pipes_before_it_returns(mode: Mode) {
    let place = mode.place();
    let (outcome, recorder) = place.run_until(&place.shell(DAEMON), "ready", |control, out| {
        let daemon = out.lines().next().expect("a number");
        assert!(is_alive(daemon), "the daemon runs when it is cancelled");
        control.stop(StopReason::Cancelled);
    });
    assert_eq!(outcome.ending, Ending::Cancelled);
    assert!(outcome.tree_confirmed_dead, "{}", outcome.error);
    assert!(!is_alive(recorder.out().lines().next().expect("a number")));
}

fn a_timeout_kills_daemons_too(mode: Mode) {
    let place = mode.place();
    let mut spec = place.shell(DAEMON);
    // Enough for a slow machine to get that far.
    spec.limits.timeout = Some(Duration::from_secs(8));
    // The leader dies of the question, and the daemon is deaf to it.
    spec.kill_grace = PATIENCE;
    spec.pipe_grace = Duration::from_millis(50);
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::TimedOut);
    assert!(outcome.leaked_pipes);
    assert!(!is_alive(recorder.out().lines().next().expect("a number")));
}

fn background_processes_do_not_survive_their_execution(mode: Mode) {
    let place = mode.place();
    let mut spec = place
        .shell("sleep 1000 >/dev/null 2>&1 & echo $!; setsid sleep 1000 >/dev/null 2>&1 & echo $!");
    // They hold the pipes until they have redirected their output.
    spec.pipe_grace = PATIENCE;
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(0));
    assert!(!outcome.leaked_pipes && outcome.tree_confirmed_dead);
    let pids = recorder.out();
    assert_eq!(pids.lines().count(), 2);
    assert!(pids.lines().all(|pid| !is_alive(pid)), "{pids}");
}

fn a_pipe_that_a_background_process_holds_costs_the_grace_and_no_more(mode: Mode) {
    let place = mode.place();
    let mut spec = place.shell("sleep 1000 & echo $!; exit 5");
    spec.pipe_grace = Duration::from_millis(300);
    let began = Instant::now();
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(5));
    assert!(outcome.leaked_pipes && outcome.tree_confirmed_dead);
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(began.elapsed() < PATIENCE);
    assert!(outcome.duration < began.elapsed());
    assert!(!is_alive(recorder.out().trim()));
}

fn what_is_written_within_the_grace_is_recorded(mode: Mode) {
    let place = mode.place();
    let mut spec = place.shell("(sleep 0.1; echo late) & exit 0");
    spec.pipe_grace = Duration::from_secs(20);
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(0));
    assert_eq!(recorder.out(), "late\n");
    assert!(!outcome.leaked_pipes);
}

fn a_crowd_of_processes_dies_whole(mode: Mode) {
    let place = mode.place();
    let spec = place.shell(
        "i=0; while [ $i -lt 60 ]; do setsid sh -c 'sleep 1000; :' & echo $!; i=$((i+1)); done
         echo ready; wait",
    );
    let (outcome, recorder) = place.run_until(&spec, "ready", |control, _| {
        control.stop(StopReason::Cancelled);
    });
    assert!(outcome.tree_confirmed_dead, "{}", outcome.error);
    let out = recorder.out();
    let alive: Vec<&str> = out.lines().filter(|line| is_alive(line)).collect();
    assert!(alive.is_empty(), "{alive:?}");
}

fn with_a_cgroup_nobody_escapes_by_hiding_every_trace(mode: Mode) {
    let place = mode.place();
    let spec = place.shell("setsid env -i sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!'");
    let (outcome, recorder) = place.run(&spec);
    assert!(outcome.tree_confirmed_dead);
    assert!(!is_alive(recorder.out().trim()));
}

/// It looks like one that has ended, and is none: its other threads run on.
fn a_process_whose_first_thread_has_ended_dies_with_the_tree(mode: Mode) {
    const PROGRAM: &str = "
import ctypes, os, threading, time
if os.fork() == 0:
    os.setsid()
    threading.Thread(target=lambda: (print(os.getpid(), flush=True), time.sleep(1000))).start()
    ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)
time.sleep(1000)
";
    let place = mode.place();
    let mut spec = place.spec("/usr/bin/python3");
    spec.args = vec!["-c".into(), PROGRAM.into()];
    let (outcome, recorder) = place.run_until(&spec, "\n", |control, out| {
        let status = format!("/proc/{}/status", out.trim());
        eventually("its first thread has ended", || {
            std::fs::read_to_string(&status).is_ok_and(|it| it.contains("State:\tZ"))
        });
        control.stop(StopReason::Cancelled);
    });
    assert!(outcome.tree_confirmed_dead, "{}", outcome.error);
    let threads = format!("/proc/{}/task", recorder.out().trim());
    // One that has ended is listed until the kernel has put it away.
    eventually("all of its threads are gone", || {
        std::fs::read_dir(&threads).map_or(0, Iterator::count) <= 1
    });
}
