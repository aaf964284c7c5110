//! Links and other traps that a function leaves in its directories: the next execution and the next
//! deploy walk into none of them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::probe;
use super::stage::{Stage, open_to_all};
use crate::harness::eventually;
use crate::runner::tests;

tests![traps_left_behind_catch_neither_the_next_execution_nor_the_next_deploy,];

/// Everything of a file that somebody could have changed.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    contents: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
    links: u64,
    changed: (i64, i64),
}

fn seen(path: &Path) -> Seen {
    let metadata = fs::metadata(path).expect("a canary");
    let contents = if metadata.is_dir() {
        let names = fs::read_dir(path).expect("a canary").flatten();
        let mut names: Vec<_> = names.map(|entry| entry.file_name()).collect();
        names.sort();
        format!("{names:?}").into_bytes()
    } else {
        fs::read(path).expect("a canary")
    };
    Seen {
        contents,
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        links: metadata.nlink(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// Root's own file and directory, as the system has many, and what belongs to the agent.
#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn canaries(stage: &Stage) -> Vec<PathBuf> {
    let directory = stage.fleet.directory().join("canaries");
    let closed = directory.join("closed");
    fs::create_dir_all(&closed).expect("a directory");
    for file in ["shadow", "public", "closed/inside"] {
        fs::write(directory.join(file), "canary").expect("a file");
    }
    open_to_all(&directory.join("shadow"), 0o600);
    open_to_all(&closed, 0o700);
    let agent = stage.fleet.agents[0].directory();
    vec![
        directory.join("shadow"),
        directory.join("public"),
        closed.clone(),
        closed.join("inside"),
        agent.join("agent.yaml"),
        stage.release("prober").join(probe::BESIDE),
        stage.release("victim").join(probe::BESIDE),
    ]
}

fn traps_left_behind_catch_neither_the_next_execution_nor_the_next_deploy() {
    let stage = Stage::start();
    let canaries = canaries(&stage);
    let before: Vec<Seen> = canaries.iter().map(|path| seen(path)).collect();
    let mut arguments = vec!["plant".to_owned()];
    arguments.extend(
        canaries
            .iter()
            .map(|path| format!("canary={}", path.display())),
    );

    // Twice, so that a directory that is used again is planted in again.
    for _ in 0..2 {
        let record = stage.probe(&arguments);
        assert_eq!(record["status"], "success", "{record}");
    }
    expect_ordinary(&stage);
    stage
        .fleet
        .api
        .put("/deploy/prober", probe::archive())
        .expect(200);
    expect_ordinary(&stage);

    let after: Vec<Seen> = canaries.iter().map(|path| seen(path)).collect();
    for ((path, before), after) in canaries.iter().zip(&before).zip(&after) {
        assert_eq!(before, after, "{}", path.display());
    }
    expect_only_victims_directory(&stage);
    let log = stage.fleet.agents[0].daemon.log();
    assert!(!log.contains("cannot remove"), "{log}");
}

/// The next execution finds its directories as if nothing had been.
#[track_caller]
fn expect_ordinary(stage: &Stage) {
    let arguments = ["try", "only=inherited.directories"].map(str::to_owned);
    let record = stage.probe(&arguments);
    assert_eq!(record["status"], "success", "{record}");
}

#[track_caller]
fn expect_only_victims_directory(stage: &Stage) {
    let work = stage.agent_state().join("work");
    eventually("the directories of ended executions are gone", || {
        let entries = fs::read_dir(&work).expect("directories").flatten();
        let ids: Vec<_> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect();
        (ids == [stage.victim.execution.as_str()]).then_some(())
    });
}
