//! The users of functions: given once, kept over restarts, never had by two.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::agent::who::isolation::tests::{SHARED, rules_with_users};
use crate::archive::ArchiveLimits;
use crate::config::function::parse_function_yaml;

struct Bench {
    directory: TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            directory: tempfile::tempdir().expect("tempdir"),
        }
    }

    /// As at every start of the agent, with users from 70000 to `last`.
    fn load(&self, last: u32) -> Functions {
        let path = |name: &str| self.directory.path().join(name);
        let journal = Journal::open(&path("journal")).expect("journal");
        let releases = Releases::open(&path("apps"), ArchiveLimits::default()).expect("releases");
        let rules = rules_with_users(70_000..=last);
        Functions::load(Arc::new(journal), releases, rules).expect("loaded")
    }

    fn apps(&self, function: &str) -> std::path::PathBuf {
        self.directory.path().join("apps").join(function)
    }
}

fn received(name: &str, yaml: &str) -> ReceivedConfig {
    let text = format!("name: {name}\nhandler: run\n{yaml}");
    ReceivedConfig {
        config: parse_function_yaml(text.as_bytes()).expect("valid"),
        config_digest: "abc".to_owned(),
    }
}

fn name(text: &str) -> FunctionName {
    FunctionName::new(text).expect(text)
}

fn register(functions: &Functions, name: &str) -> Arc<Function> {
    functions.register(received(name, "")).expect("registered")
}

/// Whether the user may enter: by the entry for it in the access control list.
fn lets_in(directory: &Path, uid: u32) -> bool {
    let mut value = [0; 512];
    let list = rustix::fs::getxattr(directory, "system.posix_acl_access", &mut value[..]);
    let length = list.unwrap_or(0);
    let entry = [&[2, 0, 5, 0][..], &uid.to_le_bytes()].concat();
    value[..length].windows(8).any(|found| found == entry)
}

#[test]
fn a_function_has_its_user_again_after_a_restart_whoever_else_came_meanwhile() {
    let bench = Bench::new();
    let functions = bench.load(70_003);
    let uids: Vec<_> = ["a", "b", "c"]
        .map(|name| register(&functions, name).uid())
        .to_vec();
    assert!(uids.iter().all(Option::is_some), "{uids:?}");
    functions.remove(&name("a")).expect("removed");
    drop(functions);
    let functions = bench.load(70_003);
    let kept: Vec<_> = ["b", "c"]
        .map(|it| functions.get(&name(it)).expect("held").uid())
        .to_vec();
    assert_eq!(kept, uids[1..]);
    // A new configuration is no new function.
    let changed = functions.register(received("b", "timeout: 5\n"));
    assert_eq!(changed.expect("registered").uid(), uids[1]);
}

#[test]
fn a_function_for_which_no_user_is_left_is_refused_and_the_others_stay() {
    let bench = Bench::new();
    let functions = bench.load(70_000);
    register(&functions, "a");
    let error = functions
        .register(received("b", ""))
        .expect_err("none left");
    assert!(matches!(error, FunctionError::NoUserLeft(_)), "{error:?}");
    assert!(
        error.to_string().contains("isolation.runner_uids"),
        "{error}"
    );
    assert!(functions.get(&name("b")).is_none());
    // One that shares needs none.
    let shared = functions.register(received("c", "isolation: {user: shared}\n"));
    assert_eq!(shared.expect("registered").uid(), None);
    assert_eq!(functions.list().len(), 2);
}

#[test]
fn a_user_is_nobody_elses_while_anything_of_a_removed_function_runs() {
    let bench = Bench::new();
    let functions = bench.load(70_000);
    let by_an_execution = register(&functions, "a");
    functions.remove(&name("a")).expect("removed");
    assert!(functions.register(received("b", "")).is_err());
    drop(by_an_execution);
    assert_eq!(register(&functions, "b").uid(), Some(70_000));
}

#[test]
fn a_user_outside_of_the_range_is_replaced_and_the_new_one_recorded() {
    let bench = Bench::new();
    let functions = bench.load(70_099);
    let before: Vec<_> = (0..5)
        .map(|number| register(&functions, &format!("f{number}")).uid())
        .collect();
    assert!(before.iter().flatten().any(|uid| *uid > 70_004));
    drop(functions);
    let functions = bench.load(70_004);
    let of = |functions: &Functions| -> Vec<_> {
        (0..5)
            .map(|number| functions.get(&name(&format!("f{number}"))).expect("held"))
            .map(|function| function.uid())
            .collect()
    };
    let moved = of(&functions);
    let distinct: std::collections::HashSet<_> = moved.iter().flatten().collect();
    assert_eq!(distinct.len(), 5, "{moved:?}");
    assert!(
        moved.iter().flatten().all(|uid| *uid <= 70_004),
        "{moved:?}"
    );
    drop(functions);
    assert_eq!(of(&bench.load(70_004)), moved);
}

#[test]
fn who_may_read_the_code_follows_the_functions_user_and_what_runs() {
    let bench = Bench::new();
    let functions = bench.load(70_000);
    let own = register(&functions, "a");
    let directory = bench.apps("a");
    // As the first deploy makes it.
    std::fs::create_dir(&directory).expect("directory");
    register(&functions, "a");
    drop(own);
    functions
        .register(received("a", "timeout: 5\n"))
        .expect("again");
    assert!(lets_in(&directory, 70_000) && !lets_in(&directory, SHARED.uid));
    let by_an_execution = functions.get(&name("a")).expect("held");
    let shared = received("a", "isolation: {user: shared}\n");
    functions.register(shared).expect("registered");
    assert!(lets_in(&directory, 70_000) && lets_in(&directory, SHARED.uid));
    drop(by_an_execution);
    assert!(!lets_in(&directory, 70_000) && lets_in(&directory, SHARED.uid));
    functions.remove(&name("a")).expect("removed");
    let mode = std::fs::metadata(&directory).map(|found| found.permissions().mode() & 0o777);
    assert!(mode.is_err() || mode.is_ok_and(|mode| mode == 0o700));
}

#[test]
fn a_function_that_asks_for_what_it_may_not_have_is_held_and_says_why_it_does_not_run() {
    let bench = Bench::new();
    let functions = bench.load(70_000);
    let asks = received("a", "isolation: {files: open}\n");
    let function = functions.register(asks).expect("registered");
    assert!(function.containment.is_err());
    assert!(
        function.remark().contains("open_files"),
        "{}",
        function.remark()
    );
    assert_eq!(function.uid(), None);
    assert_eq!(register(&functions, "b").remark(), "");
}
