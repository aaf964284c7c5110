//! "No `_ =>` on our own enums", in the files that stand at a border, where a new variant has to be thought
//! about.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::sources::{self, as_many_as_listed};
use super::tokens::{Token, behind_closing};
use super::tree::OF_LIBRARY;
use crate::runner::tests;

tests![
    no_arm_takes_whatever_else_an_own_enum_may_become,
    the_borders_are_where_they_were,
];

/// Files, and directories with a slash at their end.
const BORDERS: [&str; 8] = [
    "src/api/errors/",
    "src/rpc/",
    "src/wire/",
    "src/agent/serve/",
    "src/cli/exit_code.rs",
    "src/cli/error.rs",
    "src/control/",
    "src/contract/",
];

/// How many such arms a file has, and why they are right there. The figures may only fall.
const JUSTIFIED: &[(&str, usize, &str)] = &[
    (
        "src/rpc/error.rs",
        1,
        "takes one variant's contents out, which no other has",
    ),
    (
        "src/rpc/release.rs",
        1,
        "one answer means another way, every other is the caller's",
    ),
];

/// The names of all enums of ours.
static OWN_ENUMS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let all = sources::of_src().iter();
    all.flat_map(|source| source.tokens.windows(2))
        .filter(|pair| pair[0].is("enum") && pair[1].is_name())
        .map(|pair| pair[1].text.as_str())
        .collect()
});

/// The names of all modules of ours.
static OWN_MODULES: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let modules = OF_LIBRARY.values().flatten();
    let ways = ["crate", "super", "self"];
    modules.map(String::as_str).chain(ways).collect()
});

fn no_arm_takes_whatever_else_an_own_enum_may_become() {
    let at_border = |path: &str| BORDERS.iter().any(|border| path.starts_with(border));
    let all = sources::of_src().iter().filter(|it| at_border(&it.path));
    let found = all.map(|source| (source.path.as_str(), greedy_arms(&source.code())));
    let listed: Vec<_> = JUSTIFIED
        .iter()
        .map(|(path, count, _)| (*path, *count))
        .collect();
    as_many_as_listed(&found.collect(), &listed);
}

fn the_borders_are_where_they_were() {
    for border in BORDERS {
        assert!(sources::root().join(border).exists(), "{border}");
    }
}

/// Arms that take everything, of a `match` of which another arm names a variant of an enum of ours.
fn greedy_arms(code: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code
        .iter()
        .enumerate()
        .filter(|(_, token)| token.is("match"))
    {
        let Some(open) = body_of_match(code, at) else {
            continue;
        };
        let arms = arms(&code[open + 1..behind_closing(code, open) - 1]);
        if !arms.iter().any(|arm| names_an_own_variant(arm)) {
            continue;
        }
        for arm in arms.iter().filter(|arm| takes_everything(arm)) {
            found.push(format!("{} => in line {}", arm[0].text, arm[0].line));
        }
    }
    found
}

/// The brace that opens the arms. A block or a struct in what is matched stands in parentheses.
fn body_of_match(code: &[Token], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        let token = code.get(at)?;
        match token.text.as_str() {
            "{" => return Some(at),
            "(" | "[" => at = behind_closing(code, at),
            ";" | "}" => return None,
            _ => at += 1,
        }
    }
}

/// The patterns, with their guards.
fn arms(mut body: &[Token]) -> Vec<&[Token]> {
    let mut arms = Vec::new();
    while !body.is_empty() {
        let Some(arrow) = at_depth_zero(body, |rest| {
            rest[0].is("=") && rest.get(1).is_some_and(|next| next.is(">"))
        }) else {
            break;
        };
        arms.push(&body[..arrow]);
        body = &body[(arrow + 2).min(body.len())..];
        let is_block = body.first().is_some_and(|it| it.is("{"));
        let end = if is_block {
            behind_closing(body, 0)
        } else {
            at_depth_zero(body, |rest| rest[0].is(",")).unwrap_or(body.len())
        };
        body = &body[end..];
        if body.first().is_some_and(|it| it.is(",")) {
            body = &body[1..];
        }
    }
    arms
}

fn at_depth_zero(tokens: &[Token], is_it: impl Fn(&[Token]) -> bool) -> Option<usize> {
    let mut at = 0;
    while at < tokens.len() {
        if is_it(&tokens[at..]) {
            return Some(at);
        }
        at = match tokens[at].text.as_str() {
            "{" | "(" | "[" => behind_closing(tokens, at),
            _ => at + 1,
        };
    }
    None
}

/// `Own::Variant`, also behind a module.
fn names_an_own_variant(pattern: &[Token]) -> bool {
    (0..pattern.len()).any(|at| {
        let [name, one, two, variant, ..] = &pattern[at..] else {
            return false;
        };
        let is_path = one.is(":") && two.is(":") && starts_large(variant);
        let is_own = OWN_ENUMS.contains(name.text.as_str()) || name.is("Self");
        is_path && is_own && !is_behind_a_foreign_module(pattern, at)
    })
}

/// As in `io::ErrorKind`, where `ErrorKind` is ours too.
fn is_behind_a_foreign_module(pattern: &[Token], at: usize) -> bool {
    let Some(before) = at.checked_sub(3).map(|before| &pattern[before..at]) else {
        return false;
    };
    let is_module = before[1].is(":") && before[2].is(":");
    is_module && !OWN_MODULES.contains(before[0].text.as_str())
}

/// `_`, or a name for whatever it is. With a guard it does not take everything.
fn takes_everything(pattern: &[Token]) -> bool {
    let [only] = pattern else {
        return false;
    };
    only.is_name() && !starts_large(only) && !only.is("true") && !only.is("false")
}

fn starts_large(token: &Token) -> bool {
    token.text.starts_with(char::is_uppercase)
}
