//! ARCHITECTURE.md and the code say the same: its tables are read, and compared.

use std::collections::BTreeSet;

use super::sources::{self, begins, none_of, root, text_of};
use super::tokens::{Kind, Token};
use crate::runner::tests;

tests![
    every_folder_is_in_the_table_and_every_folder_of_the_table_exists,
    every_path_that_is_named_exists,
    every_thread_is_in_the_tables_and_every_thread_of_the_tables_is_spawned,
    every_thread_has_its_name_where_it_is_started,
];

const MAP: &str = "ARCHITECTURE.md";

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
    let text = text_of(MAP);
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
    for name in quoted(&text) {
        if (name.ends_with(".rs") || is_below_src(&name)) && !exists_anywhere(&name) {
            wrong.push(format!("there is no {name}"));
        }
    }
    none_of(&wrong);
}

/// In the rows of `control/` and `agent/`, every word in backticks is a file or a folder.
fn is_a_place(name: &str, folder: &str) -> bool {
    let is_word = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || "_/".contains(c));
    is_word && (name.ends_with('/') || ["control/", "agent/"].contains(&folder))
}

fn is_below_src(name: &str) -> bool {
    let mut parts = name.split('/');
    let first = parts.next().unwrap_or_default();
    let is_path = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    is_path && name.contains('/') && root().join("src").join(first).is_dir()
}

fn exists_anywhere(name: &str) -> bool {
    exists(name) || exists(&format!("src/{name}")) || {
        let end = format!("/{name}");
        sources::of_src().iter().any(|it| it.path.ends_with(&end))
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
            // `rpc-client-0`, `-1`: the second is the same again.
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
    &[".", "spawn", "("],
    &[".", "spawn_lasting", "("],
    &["Pool", ":", ":", "new", "("],
    &["PollThreads", ":", ":", "start", "("],
    &["PerAgent", ":", ":", "new", "("],
];

/// Where a name is passed on that stands elsewhere: to each of these belongs a starter.
const PASSED_ON: [&str; 4] = [
    "src/base/pool.rs",
    "src/base/threads.rs",
    "src/control/records/per_agent.rs",
    "src/rpc/environment.rs",
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
            let mut starters = STARTERS.iter().skip(usize::from(!is_by_supervisor));
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
                names.extend(name.map(|it| it.text.clone()));
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
