//! What changes between two steps of a look, which no program outside could time.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::*;
use crate::base::units::Mib;
use crate::model::ids::ExecutionId;
use crate::model::isolation::{NetworkIsolation, SyscallIsolation};
use crate::sandbox::{FileAccess, ResourceLimits, Stdin};

const MIB: u64 = 1 << 20;

/// A specification with a limit of 3 MiB.
fn spec(directory: &Path) -> Spec {
    Spec {
        execution_id: ExecutionId::generate(),
        program: "/bin/true".into(),
        args: Vec::new(),
        env: Vec::new(),
        cwd: directory.to_owned(),
        project: None,
        stdin: Stdin::Null,
        identity: None,
        files: FileAccess::Open,
        network: NetworkIsolation::Host,
        syscalls: SyscallIsolation::Filtered,
        limits: ResourceLimits {
            disk: Some(Mib(3)),
            ..ResourceLimits::NONE
        },
        kill_grace: Spec::KILL_GRACE,
        pipe_grace: Spec::PIPE_GRACE,
    }
}

/// A directory with another in it, and a file of 2 MiB beside that.
fn directory() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir(root.path().join("below")).expect("another in it");
    fill(&root.path().join("file"));
    root
}

fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file");
    file.write_all(&vec![1; 2 << 20]).expect("its contents");
}

fn step(looks: &mut Looks<'_>) -> Option<Excess> {
    looks.look_until(Instant::now(), Vec::new)
}

/// To the end of a look, or to its verdict.
fn finish(looks: &mut Looks<'_>) -> Option<Excess> {
    loop {
        let excess = step(looks);
        if excess.is_some() || looks.look.is_none() {
            return excess;
        }
    }
}

/// A look that has counted the file and has not been below.
fn begun(spec: &Spec) -> Looks<'_> {
    let mut looks = Looks::new(spec, Instant::now()).expect("a limit");
    let has_counted = |look: &Look| look.tally.bytes() > 2 * MIB;
    while !looks.look.as_ref().is_some_and(has_counted) {
        assert_eq!(step(&mut looks), None);
    }
    looks
}

#[test]
fn a_file_that_is_replaced_during_a_look_is_not_too_much() {
    let root = directory();
    let spec = spec(root.path());
    let mut looks = begun(&spec);
    let due = looks.due();
    fill(&root.path().join("below/file"));
    fs::remove_file(root.path().join("file")).expect("removed");
    assert_eq!(finish(&mut looks), None);
    // It has counted both.
    assert!(looks.is_second);
    // The other follows at once.
    assert_eq!(looks.due(), due);
    assert_eq!(finish(&mut looks), None);
    assert!(looks.due() > due);
    assert!(!looks.is_second);
    let peak = looks.peak().expect("a look");
    assert!((2 * MIB..3 * MIB).contains(&peak), "{peak}");
}

#[test]
fn what_two_looks_in_a_row_find_to_be_too_much_is() {
    let root = directory();
    let spec = spec(root.path());
    let mut looks = begun(&spec);
    fill(&root.path().join("below/file"));
    assert_eq!(finish(&mut looks), None);
    assert_eq!(looks.peak(), None);
    let excess = finish(&mut looks).expect("a verdict");
    assert!(matches!(excess, Excess::Bytes { .. }), "{excess:?}");
    assert!(looks.peak() > Some(4 * MIB));
}

#[test]
fn a_rest_is_the_interval_or_a_multiple_of_what_was_spent_since_the_last() {
    let root = directory();
    let spec = spec(root.path());
    let mut looks = Looks::new(&spec, Instant::now()).expect("a limit");
    for (cost, rest) in [(Duration::ZERO, INTERVAL), (INTERVAL, INTERVAL * REST)] {
        let began = Instant::now();
        looks.cost = cost;
        looks.rest();
        assert!(looks.due() >= began + rest);
        assert!(looks.due() <= Instant::now() + rest);
    }
    // Each from one rest to the next.
    assert_eq!(looks.cost, Duration::ZERO);
}
