//! What an execution can do to another that runs as the same user.

use std::fs;

use flux::model::execution::Ending;
use flux::sandbox::{CgroupMode, Control, Enforced, StopReason};

use super::place::{Mode, Place, Recorder};
use crate::runner::tests;

tests![
    an_execution_cannot_read_another_of_the_same_user in Mode::BOTH,
    an_execution_cannot_signal_another_of_the_same_user in Mode::BOTH,
    an_execution_cannot_change_the_limits_of_another_of_the_same_user,
    nothing_that_an_execution_does_to_its_empty_input_reaches_another,
];

fn an_execution_cannot_read_another_of_the_same_user(mode: Mode) {
    let place = mode.place();
    place.needs(Enforced::ForeignMemory);
    let out = said_beside_a_victim(&place, |pid| {
        format!(
            "cat /proc/{pid}/environ && echo read; cat /proc/$$/environ >/dev/null && echo itself"
        )
    });
    assert!(!out.contains("read") && !out.contains("TMPDIR"), "{out}");
    assert!(out.ends_with("itself\n"), "{out}");
}

fn an_execution_cannot_signal_another_of_the_same_user(mode: Mode) {
    let place = mode.place();
    place.needs(Enforced::ForeignSignals);
    let out = said_beside_a_victim(&place, |pid| {
        format!("kill -0 {pid} && echo signalled; kill -0 $$ && echo itself")
    });
    assert_eq!(out, "itself\n");
}

/// What a script prints that is told the number of another execution, which runs.
fn said_beside_a_victim(place: &Place, script: impl Fn(u32) -> String) -> String {
    let control = Control::new().expect("control");
    let victim = place.shell("echo; sleep 1000");
    std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let control = &control;
        scope.spawn(move || {
            let mut recorder = Announcer(sender, Recorder::default());
            place.sandbox.run(&victim, control, &mut recorder)
        });
        let pid: u32 = receiver.recv().expect("the victim's number");
        let (_, recorder) = place.run(&place.shell(&script(pid)));
        control.stop(StopReason::Cancelled);
        recorder.out()
    })
}

/// By limits the kernel would end another process as surely as by a signal.
fn an_execution_cannot_change_the_limits_of_another_of_the_same_user() {
    let place = Place::new(CgroupMode::Auto);
    place.needs(Enforced::Syscalls);
    let control = Control::new().expect("control");
    let victim = place.shell("echo; sleep 1000");
    std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (place, control) = (&place, &control);
        scope.spawn(move || {
            let mut recorder = Announcer(sender, Recorder::default());
            place.sandbox.run(&victim, control, &mut recorder)
        });
        let pid: u32 = receiver.recv().expect("the victim's number");
        let script = format!(
            "prlimit --pid {pid} --cpu=1 && echo changed; prlimit --pid {pid} --nofile && echo seen; \
             ulimit -t 1000 && echo own"
        );
        let (_, recorder) = place.run(&place.shell(&script));
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("its limits");
        control.stop(StopReason::Cancelled);
        let (out, err) = (recorder.out(), recorder.err());
        assert!(
            !out.contains("changed") && out.contains("seen"),
            "{out} {err}"
        );
        assert!(out.ends_with("own\n"), "{out} {err}");
        let processor = limits.lines().find(|line| line.starts_with("Max cpu time"));
        assert!(
            processor.is_some_and(|line| line.contains("unlimited")),
            "{limits}"
        );
    });
}

/// Flags and locks belong to what was opened, and stay as long as anybody has it.
fn nothing_that_an_execution_does_to_its_empty_input_reaches_another() {
    let place = Place::new(CgroupMode::Auto);
    let run = |script: &str| {
        let (outcome, recorder) = place.run(&place.shell(script));
        assert_eq!(outcome.ending, Ending::Exited(0), "{}", recorder.err());
        recorder.out()
    };
    let flags = "grep flags /proc/self/fdinfo/0 <&0";
    let before = run(flags);
    run("dd iflag=append,nonblock count=0 status=none; flock --exclusive --nonblock 0");
    assert_eq!(run(flags), before);
    let free = "exec 3</dev/null; flock --exclusive --nonblock 3 && echo free";
    assert_eq!(run(free), "free\n");
}

/// Sends the number once the program has said something: then it has executed.
struct Announcer(std::sync::mpsc::Sender<u32>, Recorder);

impl flux::sandbox::OutputSink for Announcer {
    fn write(&mut self, stream: flux::model::output::Stream, data: &[u8]) {
        self.1.write(stream, data);
        self.0
            .send(self.1.pid.expect("started"))
            .expect("a listener");
    }

    fn started(&mut self, pid: u32) {
        self.1.started(pid);
    }
}
