//! ARCHITECTURE.md and the code say the same: its tables are read, and compared. What it and the other
//! texts name is there.

use std::collections::BTreeSet;
use std::fs;

use super::sources::{self, begins, none_of, root, text_of};
use super::tokens::{Kind, Token};
use crate::runner::tests;

tests![
    every_folder_is_in_the_table_and_every_folder_of_the_table_exists,
    every_path_that_is_named_exists,
    every_path_that_other_texts_name_exists,
    the_check_of_paths_sees_what_it_is_against,
    the_room_that_is_kept_is_empty,
    every_thread_is_in_the_tables_and_every_thread_of_the_tables_is_spawned,
    every_thread_has_its_name_where_it_is_started,
];

const MAP: &str = "ARCHITECTURE.md";
/// What comes below is not built.
const ROOM: &str = "## Room that is kept";
/// Those of the project that texts name files of.
const FOLDERS: [&str; 10] = [
    "benches", "conf", "debian", "docs", "examples", "fuzz", "proto", "scripts", "src", "tests",
];

/// "| Folder | What it is |": and what the rows of folders name in them.
fn every_folder_is_in_the_table_and_every_folder_of_the_table_exists() {
    let rows = table("| Folder |");
    let listed: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| quoted(row).into_iter().take(1))
        .map(|it| it.trim_end_matches('/').to_owned())
        .collect();
    let there: BTreeSet<String> = sources::of_src()
        .iter()
        .map(|source| source.module().to_owned())
        .filter(|module| module != "lib")
        .collect();
    let mut wrong = Vec::new();
    for folder in there.symmetric_difference(&listed) {
        let place = if listed.contains(folder) { MAP } else { "src" };
        wrong.push(format!("{folder} is in {place} alone"));
    }
    none_of(&wrong);
}

/// Whatever stands in backticks and looks like a place in the sources: `rpc/legacy.rs`, `fleet/`.
fn every_path_that_is_named_exists() {
    let mut wrong = Vec::new();
    // Of the folder whose row of the table it is.
    for row in table("| Folder |") {
        let names = quoted(&row);
        let Some((folder, inside)) = names.split_first() else {
            continue;
        };
        for name in inside.iter().filter(|name| is_a_place(name, folder)) {
            if !exists(&format!("src/{folder}{name}")) && !exists_anywhere(name) {
                wrong.push(format!("{folder}: there is no {name}"));
            }
        }
    }
    let text = text_of(MAP);
    let (built, _) = text.split_once(ROOM).expect("the section on room");
    wrong.extend(absent(built));
    none_of(&wrong);
}

/// The same in the other documents, and in what opens each module.
fn every_path_that_other_texts_name_exists() {
    let documents = documents().into_iter().map(|path| {
        let text = text_of(&path);
        (path, text)
    });
    let heads = sources::of_src().iter().map(|source| {
        let lines = source.text.lines().filter(|line| line.starts_with("//!"));
        (source.path.clone(), lines.collect::<Vec<_>>().join("\n"))
    });
    let all = documents.chain(heads).flat_map(|(path, text)| {
        let absent = absent(&text);
        absent.into_iter().map(move |it| format!("{path}: {it}"))
    });
    none_of(&all.collect::<Vec<_>>());
}

fn the_check_of_paths_sees_what_it_is_against() {
    for text in [
        "`base/no_such.rs`",
        "`no_such.rs`",
        "`tests/no_such`",
        "`store/no_such/`",
    ] {
        assert_eq!(absent(text).len(), 1, "{text}");
    }
    for text in [
        "`base/process.rs`",
        "`tests/system`",
        "`./flux.yaml`",
        "`/etc/flux`",
    ] {
        assert!(absent(text).is_empty(), "{text}");
    }
}

fn documents() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).expect("docs");
    let names = docs.map(|entry| entry.expect("an entry").file_name());
    let texts = names.filter_map(|name| name.into_string().ok());
    let mut all: Vec<String> = texts
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    all.extend(["README.md", "CHANGELOG.md"].map(str::to_owned));
    all
}

/// What "Room that is kept" has a row for is not there: once it is, the table of folders has it.
fn the_room_that_is_kept_is_empty() {
    let rows = table("| Part | Folder |");
    let folders = rows
        .iter()
        .flat_map(|row| quoted(row.split('|').nth(2).unwrap_or_default()));
    let built = folders.filter(|it| root().join("src").join(it).is_dir());
    let built: Vec<_> = built.map(|it| format!("{it} is built")).collect();
    none_of(&built);
}

/// What a text names that looks like a place of this project and is not there.
fn absent(text: &str) -> Vec<String> {
    let names = quoted(text).into_iter();
    let places = names.filter(|name| name.ends_with(".rs") || is_in_the_project(name));
    let absent = places.filter(|name| !exists_anywhere(name));
    absent.map(|name| format!("there is no {name}")).collect()
}

/// In the rows of `control/` and `agent/`, every word in backticks is a file or a folder.
fn is_a_place(name: &str, folder: &str) -> bool {
    let is_word = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || "_/".contains(c));
    is_word && (name.ends_with('/') || ["control/", "agent/"].contains(&folder))
}

/// A path that begins in one of the folders of `src`, or of the project.
fn is_in_the_project(name: &str) -> bool {
    let mut parts = name.split('/');
    let first = parts.next().unwrap_or_default();
    let is_path = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let is_folder = FOLDERS.contains(&first) || root().join("src").join(first).is_dir();
    // Not `/etc/flux` nor `./flux.yaml`, which are on users' machines.
    is_path && name.contains('/') && !name.starts_with(['/', '.']) && is_folder
}

fn exists_anywhere(name: &str) -> bool {
    exists(name) || exists(&format!("src/{name}")) || {
        let end = format!("/{name}");
        let mut all = sources::of_src().iter().chain(sources::of_tests());
        all.any(|it| it.path.ends_with(&end))
    }
}

/// As a file of Rust, too.
fn exists(path: &str) -> bool {
    root().join(path).exists() || root().join(format!("{path}.rs")).exists()
}

/// "| Name | At most | Does |", and for both daemons "| Name | Does |".
fn every_thread_is_in_the_tables_and_every_thread_of_the_tables_is_spawned() {
    let rows = [table("| Name | Does |"), table("| Name | At most |")].concat();
    let listed: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| {
            let name = row.split('|').nth(1).unwrap_or_default();
            // Of `name-0`, `-1` the second is the same again.
            quoted(name).into_iter().take(1)
        })
        .map(|name| without_number(&name).to_owned())
        .collect();
    let spawned = spawned();
    let mut wrong = Vec::new();
    for name in spawned.symmetric_difference(&listed) {
        let place = if listed.contains(name) { MAP } else { "src" };
        wrong.push(format!("the thread {name} is in {place} alone"));
    }
    none_of(&wrong);
}

fn without_number(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == 'N')
        .trim_end_matches('-')
}

/// What starts threads under a name, which is the first argument.
const STARTERS: [&[&str]; 5] = [
    &[".", "spawn", "(", "format", "!", "("],
    &[".", "spawn", "("],
    &[".", "spawn_lasting", "("],
    &["Pool", ":", ":", "new", "("],
    &["PerAgent", ":", ":", "new", "("],
];

/// Where a name is passed on that stands elsewhere: to each of these belongs a starter.
const PASSED_ON: [&str; 3] = [
    "src/base/pool.rs",
    "src/base/threads.rs",
    "src/control/records/per_agent.rs",
];

/// Else a thread could be started that no table has.
fn every_thread_has_its_name_where_it_is_started() {
    let others = sources::of_src()
        .iter()
        .filter(|source| !PASSED_ON.contains(&source.path.as_str()));
    let mut wrong = Vec::new();
    for source in others {
        let code = source.code();
        for at in 0..code.len() {
            let is_by_supervisor = begins(&code[at..], &["supervisor", ".", "spawn", "("]);
            // `.spawn(` of others starts no thread, or one of a scope.
            let start = if is_by_supervisor { at + 1 } else { at };
            let mut starters = STARTERS.iter().skip(if is_by_supervisor { 0 } else { 2 });
            let starter = starters.find(|it| begins(&code[start..], it));
            let name = starter.and_then(|it| code.get(start + it.len()));
            if name.is_some_and(|it| it.kind != Kind::String) {
                wrong.push(format!("{}: whose thread is it?", source.at(&code[at])));
            }
        }
    }
    none_of(&wrong);
}

/// The names that the daemons' code gives to threads. Those of the command line's own are not a daemon's.
fn spawned() -> BTreeSet<String> {
    let of_daemons = sources::of_src()
        .iter()
        .filter(|source| !source.path.starts_with("src/cli/client/"));
    let mut names = BTreeSet::new();
    for source in of_daemons {
        let code = source.code();
        for at in 0..code.len() {
            for starter in STARTERS.iter().filter(|it| begins(&code[at..], it)) {
                let name: Option<&Token> = code.get(at + starter.len());
                let name = name.filter(|it| it.kind == Kind::String);
                // Of a formatted one, without its number.
                let stem = name.and_then(|it| it.text.split("-{").next());
                names.extend(stem.map(str::to_owned));
            }
        }
    }
    names
}

/// The rows of every table with this head.
fn table(head: &str) -> Vec<String> {
    let text = text_of(MAP);
    let mut rows = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with(head) {
            let rest = lines.by_ref().skip(1);
            rows.extend(
                rest.take_while(|line| line.starts_with('|'))
                    .map(str::to_owned),
            );
        }
    }
    assert!(!rows.is_empty(), "{MAP} has no table {head}");
    rows
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<String> {
    let parts = text.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}
