//! The shape of files: how they open, how long they are, what a `mod.rs` holds.

use std::collections::BTreeMap;

use super::sources::{self, Source, begins, none_of};
use super::tokens::{Token, behind_closing};
use crate::runner::tests;

tests![
    every_file_opens_with_what_it_is_about,
    no_file_is_longer_than_is_read_at_once,
    no_function_is_longer_than_a_screen,
    a_mod_rs_declares_and_does_nothing,
    no_test_is_written_where_nobody_would_run_it,
];

/// Lines.
const LONGEST_FILE: usize = 450;
/// Lines, with the signature and the last brace.
const LONGEST_FUNCTION: usize = 70;

/// Files that are longer, how long they are, and why. The figures may only fall.
const LONGER_FILES: &[(&str, usize, &str)] = &[
    (
        "src/agent/release/tests.rs",
        504,
        "tests of one module, one after the other",
    ),
    (
        "src/control/fleet/tests.rs",
        657,
        "tests of one module, one after the other",
    ),
    (
        "src/pki/authority_tests.rs",
        470,
        "tests of one module, one after the other",
    ),
];

/// Functions that are longer, as `path::function`, how long they are, and why. The figures may only fall.
const LONGER_FUNCTIONS: &[(&str, usize, &str)] = &[];

/// Files with another content than declarations, and why.
const BUSY_MODULES: &[(&str, &str)] = &[(
    "src/wire/mod.rs",
    "the generated protocol is included in an inline module",
)];

fn every_file_opens_with_what_it_is_about() {
    let all = sources::of_src().iter().chain(sources::of_tests());
    let silent = all.filter(|source| !source.text.starts_with("//! "));
    let silent: Vec<_> = silent
        .map(|source| format!("{} opens without a text", source.path))
        .collect();
    none_of(&silent);
}

fn no_file_is_longer_than_is_read_at_once() {
    let all = sources::of_src().iter().chain(sources::of_tests());
    let lengths = all.map(|source| (source.path.clone(), source.text.lines().count()));
    none_of(&longer(lengths, LONGEST_FILE, LONGER_FILES));
}

fn no_function_is_longer_than_a_screen() {
    let all = sources::of_src().iter().chain(sources::of_tests());
    // Of several with one name, in different impl blocks, the longest.
    let mut lengths = BTreeMap::new();
    for source in all {
        for (name, lines) in functions(&source.tokens) {
            let most = lengths.entry(format!("{}::{name}", source.path));
            let most = most.or_insert(lines);
            *most = lines.max(*most);
        }
    }
    none_of(&longer(
        lengths.into_iter(),
        LONGEST_FUNCTION,
        LONGER_FUNCTIONS,
    ));
}

/// What is longer than it may be, and what is said to be longer than it is.
fn longer(
    lengths: impl Iterator<Item = (String, usize)>,
    most: usize,
    known: &[(&str, usize, &str)],
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut unseen: Vec<&str> = known.iter().map(|(name, ..)| *name).collect();
    for (name, lines) in lengths {
        let allowed = known.iter().find(|(it, ..)| *it == name);
        unseen.retain(|it| *it != name);
        match allowed {
            None if lines > most => wrong.push(format!("{name}: {lines} lines, {most} at most")),
            Some(_) if lines <= most => wrong.push(format!("{name} is no exception any more")),
            Some((_, figure, _)) if lines != *figure => wrong.push(format!(
                "{name}: {lines} lines, where the list has {figure}: it may only fall, and the list with it"
            )),
            _ => {}
        }
    }
    wrong.extend(
        unseen
            .iter()
            .map(|name| format!("{name} is not there any more")),
    );
    wrong
}

/// Each function with a body, and how many lines it has.
fn functions(tokens: &[Token]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, it)| it.is("fn")) {
        // `fn(…)` is a type.
        let Some(name) = tokens.get(at + 1).filter(|it| it.is_name()) else {
            continue;
        };
        let mut open = at + 2;
        while let Some(sign) = tokens.get(open) {
            match sign.text.as_str() {
                "{" | ";" => break,
                "(" | "[" => open = behind_closing(tokens, open),
                _ => open += 1,
            }
        }
        if tokens.get(open).is_some_and(|it| it.is("{")) {
            let last = &tokens[behind_closing(tokens, open) - 1];
            found.push((name.text.clone(), last.line + 1 - token.line));
        }
    }
    found
}

/// Documentation, attributes, `mod name;` and `use`.
fn a_mod_rs_declares_and_does_nothing() {
    let all = sources::of_src().iter().chain(sources::of_tests());
    let mut wrong = Vec::new();
    for source in all.filter(|source| source.path.ends_with("/mod.rs")) {
        let is_known = BUSY_MODULES.iter().any(|(path, _)| *path == source.path);
        let busy = first_that_does_something(source);
        match busy {
            Some(token) if !is_known => {
                wrong.push(format!("{}: {} in a mod.rs", source.at(token), token.text));
            }
            None if is_known => wrong.push(format!("{} is no exception any more", source.path)),
            _ => {}
        }
    }
    none_of(&wrong);
}

fn first_that_does_something(source: &Source) -> Option<&Token> {
    let tokens = &source.tokens;
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        if begins(rest, &["#", "["]) {
            at = behind_closing(tokens, at + 1);
        } else if begins(rest, &["#", "!", "["]) {
            at = behind_closing(tokens, at + 2);
        } else if begins(rest, &["pub", "("]) {
            at = behind_closing(tokens, at + 1);
        } else if rest[0].is("pub") {
            at += 1;
        } else if rest[0].is("use") || rest[0].is("mod") && rest.get(2).is_some_and(|it| it.is(";"))
        {
            at += rest.iter().position(|it| it.is(";"))? + 1;
        } else {
            return Some(&tokens[at]);
        }
    }
    None
}

/// The program of these tests brings its own main: the compiler would leave out a `#[test]` in it without
/// a word.
fn no_test_is_written_where_nobody_would_run_it() {
    let mut wrong = Vec::new();
    let shared = ["tests/system/", "tests/harness/", "tests/escape_probe/"];
    let all = sources::of_tests().iter();
    for source in all.filter(|it| shared.iter().any(|place| it.path.starts_with(place))) {
        for (at, token) in source.tokens.iter().enumerate() {
            if begins(&source.tokens[at..], &["#", "[", "test", "]"]) {
                wrong.push(format!("{}: nobody runs it", source.at(token)));
            }
        }
    }
    none_of(&wrong);
}
