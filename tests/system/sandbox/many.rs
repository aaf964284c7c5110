//! Many executions at once leave nothing behind.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use flux::model::execution::Ending;
use flux::sandbox::CgroupMode;

use super::place::{Mode, Place};
use crate::runner::tests;

tests![
    two_hundred_executions_leave_no_zombies_descriptors_or_cgroups in Mode::BOTH,
    a_sandbox_takes_its_cgroup_along,
];

const RUNS: usize = 200;
const THREADS: usize = 16;

fn two_hundred_executions_leave_no_zombies_descriptors_or_cgroups(mode: Mode) {
    let place = mode.place();
    run_all(&place, 2 * THREADS);
    let descriptors = count("/proc/self/fd");
    run_all(&place, RUNS);
    assert_eq!(count("/proc/self/fd"), descriptors);
    assert_eq!(children(), Vec::<String>::new());
    assert_eq!(cgroups(), Vec::<String>::new());
}

/// Each leaves two processes, one of them in a session of its own.
fn run_all(place: &Place, runs: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < runs {
                    let mut spec = place.shell(
                        "setsid sh -c 'sleep 100 >/dev/null 2>&1 &'; sleep 100 >/dev/null 2>&1 & exit 6",
                    );
                    // A background process holds the pipes until it has redirected its output.
                    spec.pipe_grace = super::place::PATIENCE;
                    let (outcome, _) = place.run(&spec);
                    assert_eq!(outcome.ending, Ending::Exited(6), "{outcome:?}");
                    assert!(outcome.tree_confirmed_dead && !outcome.leaked_pipes, "{outcome:?}");
                }
            });
        }
    });
    // With the others gone, one more run takes along what nobody could be told to own.
    let (outcome, _) = place.run(&place.shell("exit 0"));
    assert_eq!(outcome.ending, Ending::Exited(0));
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).expect(directory).count()
}

fn children() -> Vec<String> {
    let own = std::process::id().to_string();
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| {
            let rest = stat.rsplit(") ").next().unwrap_or_default();
            rest.split(' ').nth(1) == Some(&own)
        })
        .collect()
}

/// Of this process, anywhere below the mounts.
fn cgroups() -> Vec<String> {
    let mark = format!("flux-test-{}-", std::process::id());
    let mut found = Vec::new();
    let mut directories = vec!["/sys/fs/cgroup".into()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir::<std::path::PathBuf>(directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let path = entry.path();
                let text = path.display().to_string();
                if text
                    .split_once(&mark)
                    .is_some_and(|(_, rest)| rest.contains('/'))
                {
                    found.push(text);
                }
                directories.push(path);
            }
        }
    }
    found
}

fn a_sandbox_takes_its_cgroup_along() {
    let place = Place::new(CgroupMode::Auto);
    place.run(&place.shell("exit 0"));
    drop(place);
    let own = format!("flux-test-{}-0", std::process::id());
    let mut paths = cgroup_directories();
    paths.retain(|path| path.ends_with(&own));
    assert!(paths.is_empty(), "{paths:?}");
}

fn cgroup_directories() -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(entry.path());
                found.push(entry.path());
            }
        }
    }
    found
}
