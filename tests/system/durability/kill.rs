//! A process that writes is killed at many moments; what it has acknowledged is there, whole.
//!
//! The writer is this same program, started again as one of the helpers below. It says
//! on its standard output what has been acknowledged to it, one line each, and the parent kills
//! it after some number of lines. Neither the moment inside the next operations nor the number
//! of threads that are inside one is fixed; the numbers of lines are.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use flux::agent::journal::{ExecutionFilter, Journal};
use flux::model::agent::{Agent, AgentState};
use flux::model::execution::{Ending, Status};
use flux::model::function::{Behavior, Env, FunctionConfig, HandlerPath};
use flux::store::{AgentStore, ArchiveStore, EmbeddedStore, FunctionStore, RouteStore};

use super::values::{accepted, at, ended, id, route};
use crate::runner::{helper, tests};

tests![
    the_journal_keeps_what_it_acknowledged_to_a_process_that_is_killed,
    the_store_keeps_what_it_acknowledged_to_a_process_that_is_killed,
    a_killed_process_leaves_the_state_directory_free_and_a_living_one_does_not,
];

const DIRECTORY: &str = "FLUX_TEST_DIRECTORY";
const THREADS: usize = 4;

/// Lines after which the writer is killed: some before its first commit, some in the middle of a
/// burst, some after checkpoints (about every 1000 pages).
const KILL_AFTER: [usize; 10] = [0, 1, 2, 7, 33, 64, 150, 401, 1000, 3000];

fn the_journal_keeps_what_it_acknowledged_to_a_process_that_is_killed() {
    for lines in KILL_AFTER {
        let directory = tempfile::tempdir().expect("tempdir");
        let acknowledged = run_and_kill(
            "durability::kill::write_to_a_journal",
            directory.path(),
            lines,
        );
        let journal = Journal::open(directory.path()).expect("the lock has gone with the process");
        for line in &acknowledged {
            let (what, name) = line.split_once(' ').expect("two words");
            let record = journal.get(&id(name)).expect("get").expect(line);
            match what {
                "accepted" => assert!(matches!(record.status(), Status::Running | Status::Success)),
                "ended" => assert_eq!(record, ended(name), "{line}"),
                other => panic!("{other}"),
            }
        }
        everything_ends_once(&journal);
    }
}

/// Whatever was in flight is there whole or not at all, and the next start ends it.
fn everything_ends_once(journal: &Journal) {
    let filter = ExecutionFilter {
        status: Some(Status::Running),
        ..ExecutionFilter::default()
    };
    let running = journal.list(&filter, 1000).expect("list");
    let lost = journal.mark_lost(at(5), "lost", |_| [0, 0]).expect("mark");
    assert_eq!(lost.len(), running.len());
    for execution in &lost {
        let record = journal.get(execution).expect("get").expect("there");
        assert_eq!(record.ending, Some(Ending::Lost));
    }
    assert_eq!(
        journal.mark_lost(at(6), "lost", |_| [0, 0]).expect("mark"),
        []
    );
    assert!(journal.list(&filter, 1000).expect("list").is_empty());
}

fn the_store_keeps_what_it_acknowledged_to_a_process_that_is_killed() {
    for lines in KILL_AFTER {
        let directory = tempfile::tempdir().expect("tempdir");
        let acknowledged = run_and_kill(
            "durability::kill::write_to_a_store",
            directory.path(),
            lines,
        );
        let store = EmbeddedStore::open(directory.path()).expect("reopen");
        let mut versions = BTreeMap::<String, u64>::new();
        for line in &acknowledged {
            let (what, name) = line.split_once(' ').expect("two words");
            match what {
                "route" => assert!(store.get_route(&id(name)).expect("get").is_some(), "{line}"),
                "version" => *versions.entry(name.to_owned()).or_default() += 1,
                other => panic!("{other}"),
            }
        }
        for (name, count) in versions {
            at_least_version(&store, &name, count);
        }
        let uploads = std::fs::read_dir(directory.path().join("archives")).expect("list");
        for file in uploads {
            let name = file.expect("entry").file_name();
            assert!(
                name.to_string_lossy().ends_with(".zip"),
                "{name:?} is left over"
            );
        }
    }
}

/// The version in force is the last acknowledged one or one that was in flight, its archive is
/// whole, and so are those that are kept.
fn at_least_version(store: &EmbeddedStore, name: &str, count: u64) {
    let function = store.get_function(&config(name).name).expect("get");
    let active = function.expect(name).value.active.expect("deployed");
    assert!((count..=count + 1).contains(&active.number), "{active:?}");
    for version in store.list_versions(&config(name).name).expect("list") {
        let archive = store.open_archive(&version.digest).expect("open");
        assert_eq!(archive.expect("archive").len(), version.size_bytes);
    }
}

pub fn write_to_a_journal() {
    let directory = directory();
    let journal = Journal::open(&directory).expect("open");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let journal = &journal;
            scope.spawn(move || {
                for number in 0.. {
                    let name = format!("e{thread}-{number}");
                    let durable = number % 3 != 0;
                    if durable {
                        journal.accept(&accepted(&name)).expect("accept");
                        say(&format!("accepted {name}"));
                    }
                    journal.finish(&ended(&name), durable).expect("finish");
                    say(&format!("ended {name}"));
                }
            });
        }
    });
}

pub fn write_to_a_store() {
    let directory = directory();
    let store = EmbeddedStore::open(&directory).expect("open");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let name = format!("f{thread}");
                let function = config(&name).name;
                store.put_function(&config(&name), at(0)).expect("put");
                for number in 0.. {
                    let execution = format!("e{thread}-{number}");
                    store.put_route(&route(&execution)).expect("put");
                    say(&format!("route {execution}"));
                    store.put_route_lazily(&route(&format!("lazy-{execution}")));
                    let mut upload = store.archive_scratch().expect("scratch");
                    upload
                        .write_all(execution.repeat(1 + number % 7).as_bytes())
                        .expect("write");
                    let archive = store.put_archive(upload, None).expect("put");
                    store.add_version(&function, &archive, at(1)).expect("add");
                    say(&format!("version {name}"));
                }
            });
        }
    });
}

fn a_killed_process_leaves_the_state_directory_free_and_a_living_one_does_not() {
    let directory = tempfile::tempdir().expect("tempdir");
    let mut writer = start("durability::kill::hold_a_store", directory.path());
    let mut lines = lines_of(&mut writer);
    assert_eq!(lines.next().as_deref(), Some("open"));
    let error = EmbeddedStore::open(directory.path())
        .map(|_| ())
        .expect_err("held");
    let cause = std::error::Error::source(&error)
        .expect("cause")
        .to_string();
    assert!(cause.contains("store.lock"), "{cause}");
    kill(writer);
    let store = EmbeddedStore::open(directory.path()).expect("free");
    let agent = Agent {
        id: route("e1").agent,
        address: "127.0.0.1:1".to_owned(),
        tls: true,
        state: AgentState::Offline,
        machine: None,
        registered_at: at(0),
    };
    store.put_agent(&agent, None).expect("usable");
}

pub fn hold_a_store() {
    let directory = directory();
    let _store = EmbeddedStore::open(&directory).expect("open");
    say("open");
    // Until the parent kills it; should the parent end first, the input does.
    let _ = std::io::stdin().lines().next();
}

fn run_and_kill(writer: &str, directory: &Path, lines: usize) -> Vec<String> {
    let mut child = start(writer, directory);
    let mut output = lines_of(&mut child);
    let mut acknowledged: Vec<_> = output.by_ref().take(lines).collect();
    assert_eq!(acknowledged.len(), lines, "the writer ended by itself");
    kill(child);
    // What it had said before it died counts; a last line may be cut off.
    acknowledged.extend(output);
    acknowledged
}

fn start(writer: &str, directory: &Path) -> Child {
    helper::command(writer)
        .env(DIRECTORY, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start")
}

/// What the writer says.
fn lines_of(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let output = BufReader::new(child.stdout.take().expect("piped"));
    output.split(b'\n').filter_map(|line| {
        let line = String::from_utf8(line.expect("read")).expect("text");
        let said = line.strip_prefix("> ")?.strip_suffix('.')?;
        Some(said.to_owned())
    })
}

/// SIGKILL: nothing of the process runs any more.
fn kill(mut child: Child) {
    child.kill().expect("kill");
    child.wait().expect("wait");
}

/// One write for a whole line, so that lines of several threads do not mix; the full stop shows
/// that it is whole.
fn say(what: &str) {
    let line = format!("> {what}.\n");
    std::io::stdout()
        .lock()
        .write_all(line.as_bytes())
        .expect("parent reads");
}

fn directory() -> PathBuf {
    let directory = std::env::var_os(DIRECTORY);
    PathBuf::from(directory.expect("the parent names a directory"))
}

fn config(name: &str) -> FunctionConfig {
    FunctionConfig {
        disk: None,
        pids: None,
        isolation: flux::model::isolation::IsolationRequest::default(),
        name: flux::model::ids::FunctionName::new(name).expect("name"),
        handler: HandlerPath::new("run").expect("handler"),
        cpu_millicores: None,
        memory: None,
        timeout: None,
        max_concurrency: std::num::NonZeroU32::MIN,
        max_concurrency_behavior: Behavior::Exit,
        resource_pressure_behavior: Behavior::Exit,
        max_wait: std::time::Duration::from_secs(1),
        env: Env::new(),
    }
}
