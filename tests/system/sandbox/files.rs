//! What of the file tree an execution reaches, and that nothing else can be read or changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use flux::model::execution::Ending;
use flux::sandbox::{CgroupMode, Enforced, FileAccess, Spec, Stdin, default_system_paths};

use super::place::{Opening, Place, config};
use crate::runner::tests;

tests![
    nothing_outside_can_be_read_made_changed_or_removed,
    a_file_outside_cannot_come_in_by_a_hard_link_or_be_moved,
    a_file_outside_cannot_be_cut_short,
    its_own_directory_is_its_own,
    paths_given_to_read_can_be_executed_and_not_written,
    a_program_outside_is_refused_with_the_reason,
    standard_devices_and_descriptors_serve,
    other_devices_and_shared_memory_are_out_of_reach,
    a_directory_that_became_a_link_gives_nothing,
    missing_system_paths_are_passed_over_and_the_others_given,
    files_are_moved_between_directories_in_place_with_and_without_rules,
];

/// A place that enforces files; and a directory outside, to which the file modes let everybody.
fn place_and_outside() -> (Place, tempfile::TempDir) {
    let place = Place::new(CgroupMode::Auto);
    place.needs(Enforced::Files);
    let outside = tempfile::tempdir().expect("a directory");
    fs::File::create(outside.path().join("theirs")).expect("a file");
    symlink("theirs", outside.path().join("link")).expect("a link");
    fs::create_dir(outside.path().join("directory")).expect("a directory");
    (place, outside)
}

/// Runs each line on its own in a shell and gives back those that succeeded.
fn succeeding(place: &Place, mut spec: Spec, lines: &[&str]) -> Vec<String> {
    let script: String = lines
        .iter()
        .enumerate()
        .map(|(number, line)| format!("({line}) >/dev/null 2>&1 && echo {number}\n"))
        .collect();
    spec.program = "/bin/sh".into();
    spec.args = vec!["-c".into(), format!("{script}exit 0").into()];
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(0), "{}", recorder.err());
    let numbers = recorder.out();
    let numbers = numbers.lines().map(str::parse::<usize>);
    numbers
        .map(|number| lines[number.expect("a number")].to_owned())
        .collect()
}

const EVERY_CHANGE: [&str; 13] = [
    "cat $OUTSIDE/theirs",
    "ls $OUTSIDE",
    "echo x >$OUTSIDE/theirs",
    "echo x >>$OUTSIDE/theirs",
    "touch $OUTSIDE/made",
    "mkdir $OUTSIDE/made",
    "mkfifo $OUTSIDE/made",
    "ln -s target $OUTSIDE/made",
    "rm -f $OUTSIDE/link",
    "rmdir $OUTSIDE/directory",
    "mv $OUTSIDE/theirs $OUTSIDE/made",
    "touch mine; mv mine $OUTSIDE/made",
    "touch mine; ln mine $OUTSIDE/made",
];

fn nothing_outside_can_be_read_made_changed_or_removed() {
    let (place, outside) = place_and_outside();
    let with_outside = |mut spec: Spec| {
        spec.env.push(("OUTSIDE".into(), outside.path().into()));
        spec
    };
    let strict = with_outside(place.shell(""));
    assert_eq!(
        succeeding(&place, strict, &EVERY_CHANGE),
        Vec::<String>::new()
    );
    let left: Vec<_> = fs::read_dir(outside.path()).expect("it").collect();
    assert_eq!(left.len(), 3);
    // The same lines do work for one that is not held: the tries are real ones.
    let mut open = with_outside(place.shell(""));
    open.files = FileAccess::Open;
    let worked = succeeding(&place, open, &EVERY_CHANGE[..6]);
    assert_eq!(worked, &EVERY_CHANGE[..5]);
}

fn a_file_outside_cannot_come_in_by_a_hard_link_or_be_moved() {
    let (place, outside) = place_and_outside();
    let mut spec = place.shell("");
    let theirs = outside.path().join("theirs");
    spec.env.push(("THEIRS".into(), theirs.into()));
    let worked = succeeding(&place, spec, &["ln $THEIRS mine", "mv $THEIRS mine"]);
    assert_eq!(worked, Vec::<String>::new());
}

fn a_file_outside_cannot_be_cut_short() {
    let (place, outside) = place_and_outside();
    // The kernel holds it since Linux 6.2; before, the file's mode alone does. That it can hold signals
    // says that it is newer than that.
    place.needs(Enforced::ForeignSignals);
    let theirs = outside.path().join("theirs");
    fs::OpenOptions::new()
        .write(true)
        .open(&theirs)
        .expect("it")
        .set_len(5)
        .expect("five bytes");
    let mut spec = place.shell("");
    spec.env.push(("THEIRS".into(), theirs.clone().into()));
    let cut = "/usr/bin/python3 -c 'import os; os.truncate(os.environ[\"THEIRS\"], 0)'";
    assert_eq!(succeeding(&place, spec, &[cut]), Vec::<String>::new());
    assert_eq!(fs::metadata(&theirs).expect("it").len(), 5);
}

fn its_own_directory_is_its_own() {
    let (place, _outside) = place_and_outside();
    let lines = [
        "echo text >a && cat a",
        "mkdir -p d/e && mv a d/e/b",
        "ln d/e/b hard && ln -s d soft && cat soft/e/b",
        "mkfifo pipe && rm pipe",
        "printf '#!/bin/sh\\nexit 0\\n' >run && chmod +x run && ./run",
        "rm -r d hard soft",
    ];
    assert_eq!(succeeding(&place, place.shell(""), &lines), lines);
}

fn paths_given_to_read_can_be_executed_and_not_written() {
    let (place, outside) = place_and_outside();
    let tool = outside.path().join("tool");
    fs::copy("/bin/true", &tool).expect("a program");
    let mut spec = place.spec(&tool);
    spec.files = FileAccess::Only {
        read: vec![outside.path().to_owned()],
        write: vec![place.root().to_owned()],
    };
    let (outcome, _) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(0), "{}", outcome.error);
    spec.env.push(("OUTSIDE".into(), outside.path().into()));
    assert_eq!(
        succeeding(&place, spec, &EVERY_CHANGE),
        &EVERY_CHANGE[..2],
        "read, and nothing more"
    );
}

fn a_program_outside_is_refused_with_the_reason() {
    let (place, outside) = place_and_outside();
    let tool = outside.path().join("tool");
    fs::copy("/bin/true", &tool).expect("a program");
    let (outcome, _) = place.run(&place.spec(&tool));
    assert_eq!(outcome.ending, Ending::SpawnFailed);
    assert!(
        outcome.error.contains("tool") && outcome.error.contains("files that it may reach"),
        "{}",
        outcome.error
    );
}

fn standard_devices_and_descriptors_serve() {
    let (place, _outside) = place_and_outside();
    let mut spec = place.shell(
        "set -e
         echo lost >/dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c
         echo x | cat /dev/stdin; echo y | cat /dev/fd/0; echo z >/dev/stdout
         cat /dev/fd/3 3<<end\nhere\nend
         ls /proc/self/fd >/dev/null; head -c 5 /proc/self/status; ! echo x >/dev/full",
    );
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(0), "{}", recorder.err());
    assert_eq!(recorder.out(), "4\n4\nx\ny\nz\nhere\nName:");
    // What the agent hands over as standard input lies in memory that has no path.
    let memory = nix::sys::memfd::memfd_create(c"stdin", nix::sys::memfd::MFdFlags::MFD_CLOEXEC);
    let mut file = fs::File::from(memory.expect("memory"));
    std::io::Write::write_all(&mut file, b"input").expect("written");
    std::io::Seek::rewind(&mut file).expect("from the start");
    spec = place.shell("cat /dev/stdin");
    spec.stdin = Stdin::File(file);
    assert_eq!(place.run(&spec).1.out(), "input");
}

fn other_devices_and_shared_memory_are_out_of_reach() {
    let (place, _outside) = place_and_outside();
    let lines = [
        "touch /dev/shm/left",
        "ls /dev/shm",
        "head -c 1 /dev/kmsg",
        "true </dev/ptmx",
        "mknod device c 1 3",
        "ls /home",
        "ls /root",
        "ls /tmp",
        "ls /var/log",
        "echo 1 >/proc/self/oom_score_adj",
    ];
    assert_eq!(
        succeeding(&place, place.shell(""), &lines),
        Vec::<String>::new()
    );
}

fn a_directory_that_became_a_link_gives_nothing() {
    let (place, outside) = place_and_outside();
    let link = place.root().join("work");
    symlink(outside.path(), &link).expect("a link");
    let mut spec = place.shell("true");
    for path in [link, place.root().join("missing")] {
        spec.files = FileAccess::Only {
            read: Vec::new(),
            write: vec![path.clone()],
        };
        let (outcome, _) = place.run(&spec);
        assert_eq!(outcome.ending, Ending::SpawnFailed);
        assert!(
            outcome.error.contains(&path.display().to_string()),
            "{}",
            outcome.error
        );
    }
}

fn missing_system_paths_are_passed_over_and_the_others_given() {
    let root = tempfile::tempdir().expect("a directory");
    let mut config = config(root.path(), CgroupMode::Off, None);
    config.system_paths.push(PathBuf::from("/no/such/path"));
    let sandbox = flux::sandbox::Sandbox::open(config).expect("a sandbox");
    drop(sandbox);
    assert!(default_system_paths().iter().all(|path| path.is_absolute()));
    let place = Opening::default().open();
    let (outcome, _) = place.run(&place.shell("test -r /etc/passwd && cat /etc/passwd"));
    assert_eq!(outcome.ending, Ending::Exited(0));
}

fn files_are_moved_between_directories_in_place_with_and_without_rules() {
    let place = Place::new(CgroupMode::Auto);
    let script = "mkdir from to && echo x >from/file && before=$(stat -c %i from/file) && \
                  perl -e 'rename \"from/file\", \"to/file\" or die $!' && \
                  test $(stat -c %i to/file) = $before && rm -r from to";
    for files in [place.spec("/bin/sh").files, FileAccess::Open] {
        let mut spec = place.shell(script);
        spec.files = files;
        let (outcome, recorder) = place.run(&spec);
        assert_eq!(outcome.ending, Ending::Exited(0), "{}", recorder.err());
    }
}
