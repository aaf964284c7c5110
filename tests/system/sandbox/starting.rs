//! Programs that cannot be started say why, and every way to start one works.

use std::fs::OpenOptions;

use flux::model::execution::Ending;
use flux::sandbox::{CgroupMode, Control, SpawnWay, Spec, Stdin, StopReason};

use super::place::{Mode, Opening, Place, Recorder, refuse_calls, strings};
use crate::runner::tests;

tests![
    every_refusal_names_its_cause in Mode::BOTH,
    a_program_that_stays_open_for_writing_is_tried_for_a_moment_and_then_named,
    both_ways_to_start_run_the_same,
    arguments_arrive_one_by_one,
    where_clone3_is_filtered_away_the_plain_clone_serves in Mode::BOTH,
    where_clone3_is_filtered_away_nothing_starts_by_it,
    it_starts_programs_even_when_the_agents_own_standard_descriptors_are_closed,
    a_cancel_ends_the_tries_to_start_a_busy_program,
];

fn refusal(place: &Place, spec: &Spec) -> String {
    let (outcome, recorder) = place.run(spec);
    assert_eq!(outcome.ending, Ending::SpawnFailed, "{outcome:?}");
    assert!(outcome.tree_confirmed_dead);
    assert_eq!(recorder.pid, None, "it has not started");
    outcome.error
}

fn every_refusal_names_its_cause(mode: Mode) {
    let place = mode.place();
    let mut foreign = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xf7\0".to_vec();
    foreign.resize(64, 0);
    for (name, contents, mode, part) in [
        (
            "plain",
            &b"#!/bin/sh\n"[..],
            0o644,
            "is not executable (mode 644)",
        ),
        (
            "orphan",
            b"#!/no/such/shell -e\n",
            0o755,
            "needs /no/such/shell, which does not exist",
        ),
        (
            "crlf",
            b"#!/bin/sh\r\nexit 0\r\n",
            0o755,
            "Windows line ends",
        ),
        (
            "text",
            b"echo hello\n",
            0o755,
            "neither a program for Linux nor a script",
        ),
        ("empty", b"", 0o755, "is empty"),
        (
            "foreign",
            &foreign,
            0o755,
            "is a program for processor type 247",
        ),
    ] {
        let path = place.file(name, contents, mode);
        let error = refusal(&place, &place.spec(path));
        assert!(error.contains(part), "{error}");
    }
    let error = refusal(&place, &place.spec("/no/such/program"));
    assert!(error.contains("/no/such/program: no such file"), "{error}");
    let error = refusal(&place, &place.spec(place.root()));
    assert!(error.contains("is not a file"), "{error}");
    let error = refusal(&place, &place.spec("bin/true"));
    assert!(error.contains("not an absolute path"), "{error}");
    let mut nowhere = place.shell("true");
    nowhere.cwd = "/no/such/directory".into();
    let error = refusal(&place, &nowhere);
    assert!(
        error.contains("working directory /no/such/directory"),
        "{error}"
    );
    let mut long = place.shell("true");
    long.args.push("x".repeat(200_000).into());
    let error = refusal(&place, &long);
    assert!(error.contains("longer than the system takes"), "{error}");
}

fn a_program_that_stays_open_for_writing_is_tried_for_a_moment_and_then_named() {
    let place = Place::new(CgroupMode::Auto);
    let path = place.file("busy", b"#!/bin/sh\nexit 0\n", 0o755);
    let writer = OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("a writer");
    let error = refusal(&place, &place.spec(&path));
    assert!(error.contains("is open for writing"), "{error}");
    drop(writer);
    let (outcome, _) = place.run(&place.spec(&path));
    assert_eq!(outcome.ending, Ending::Exited(0));
}

fn both_ways_to_start_run_the_same() {
    for mode in [CgroupMode::Auto, CgroupMode::Off] {
        for way in [SpawnWay::Clone3, SpawnWay::Clone, SpawnWay::Auto] {
            let place = Opening {
                mode,
                way,
                ..Opening::default()
            }
            .open();
            let (outcome, recorder) = place.run(&place.shell("echo $0 $PWD; exit 9"));
            assert_eq!(
                outcome.ending,
                Ending::Exited(9),
                "{mode:?} {way:?}: {outcome:?}"
            );
            assert_eq!(
                recorder.out(),
                format!("/bin/sh {}\n", place.root().display())
            );
            let error = refusal(&place, &place.spec("/no/such/program"));
            assert!(error.contains("no such file"), "{error}");
        }
    }
}

fn arguments_arrive_one_by_one() {
    let place = Place::new(CgroupMode::Auto);
    let mut spec = place.spec("/usr/bin/printf");
    spec.args = strings(&["[%s]", "a b", "", "$HOME", "*", "\u{e4}"]);
    let (_, recorder) = place.run(&spec);
    assert_eq!(recorder.out(), "[a b][][$HOME][*][\u{e4}]");
}

fn where_clone3_is_filtered_away_the_plain_clone_serves(mode: Mode) {
    for errno in [libc::ENOSYS, libc::EPERM] {
        // Every later filter is asked as well, and the strictest answer wins; of two errors the last.
        refuse_calls(&[(libc::SYS_clone3, errno)]);
        let place = mode.place();
        for _ in 0..2 {
            let (outcome, _) = place.run(&place.shell("exit 9"));
            assert_eq!(outcome.ending, Ending::Exited(9), "{outcome:?}");
        }
    }
}

fn where_clone3_is_filtered_away_nothing_starts_by_it() {
    refuse_calls(&[(libc::SYS_clone3, libc::EPERM)]);
    let place = Opening {
        mode: CgroupMode::Off,
        way: SpawnWay::Clone3,
        ..Opening::default()
    }
    .open();
    let error = refusal(&place, &place.shell("true"));
    assert!(error.contains("cannot make a process"), "{error}");
}

fn it_starts_programs_even_when_the_agents_own_standard_descriptors_are_closed() {
    // Without a cgroup and with everything else there, the first descriptors become the pipes.
    let place = Place::new(CgroupMode::Off);
    let mut spec = place.shell("cat; echo err >&2; ls /proc/$$/fd; true");
    spec.stdin = Stdin::File(std::fs::File::open("/proc/self/status").expect("a file"));
    let control = Control::new().expect("control");
    let mut recorder = Recorder::default();
    let copies: Vec<_> = (0..3)
        .map(|fd| {
            // SAFETY: a plain copy of a descriptor.
            let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) };
            // SAFETY: nothing in this process relies on it until it is put back below.
            unsafe { libc::close(fd) };
            copy
        })
        .collect();
    let outcome = place.sandbox.run(&spec, &control, &mut recorder);
    for (fd, copy) in copies.iter().enumerate() {
        // SAFETY: puts the copy back.
        unsafe { libc::dup2(*copy, fd as i32) };
    }
    assert_eq!(outcome.ending, Ending::Exited(0), "{outcome:?}");
    assert!(recorder.out().starts_with("Name:"), "{}", recorder.out());
    assert!(
        recorder.out().ends_with("\n0\n1\n2\n"),
        "{}",
        recorder.out()
    );
    assert_eq!(recorder.err(), "err\n");
}

fn a_cancel_ends_the_tries_to_start_a_busy_program() {
    let place = Place::new(CgroupMode::Auto);
    let path = place.file("busy", b"#!/bin/sh\nexit 0\n", 0o755);
    let _writer = OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("a writer");
    let control = Control::new().expect("control");
    let outcome = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            place
                .sandbox
                .run(&place.spec(&path), &control, &mut Recorder::default())
        });
        control.stop(StopReason::Cancelled);
        run.join().expect("a run")
    });
    assert_eq!(outcome.ending, Ending::Cancelled);
}
