//! Whoever reads of an error reads why: it is shown with its causes, by `with_causes` and by nothing else, and
//! every text of that chain is a statement.

use super::sources::{self, begins, none_of};
use super::tokens::{Kind, Token, behind_closing, tokens};
use crate::runner::tests;

tests![
    no_text_leaves_out_the_causes_of_an_error,
    nothing_else_follows_an_error_to_its_causes,
    an_error_is_a_statement,
    what_did_not_work_is_said_in_one_way,
    the_checks_of_causes_see_what_they_are_against,
];

const LOG: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// What errors are called, and nothing else is.
const ERRORS: [&str; 4] = ["error", "errno", "err", "e"];
/// The only place that follows an error to its causes.
const HOME: &str = "src/base/causes.rs";

/// What the texts begin with that say what was wanted (`open /x`) in place of what happened (`cannot open
/// /x`).
const VERBS: [&str; 39] = [
    "accept", "add", "ask", "become", "bind", "build", "change", "clear", "connect", "create",
    "delete", "encode", "end", "fetch", "find", "follow", "give", "handle", "hide", "isolate",
    "keep", "list", "listen", "look", "make", "measure", "open", "prepare", "push", "read",
    "record", "remove", "run", "serve", "start", "store", "use", "write", "{action}",
];

fn no_text_leaves_out_the_causes_of_an_error() {
    none_of(&in_every_source(bare, "shows an error without its causes"));
}

fn nothing_else_follows_an_error_to_its_causes() {
    let mut found = in_every_source(followed, "use with_causes");
    found.retain(|it| !it.starts_with(HOME));
    none_of(&found);
}

fn an_error_is_a_statement() {
    none_of(&in_every_source(orders, "is no statement"));
}

/// Logs say "cannot remove /x", as errors do, and not "failed to remove /x".
fn what_did_not_work_is_said_in_one_way() {
    none_of(&in_every_source(failures, "say cannot"));
}

/// Where `look` finds something, with what that is.
fn in_every_source(look: fn(&[Token]) -> Vec<String>, what: &str) -> Vec<String> {
    let all = sources::of_src().iter();
    let found = all.map(|source| (&source.path, look(&source.code())));
    found
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(path, lines)| format!("{path}: {what}: {}", lines.join(", ")))
        .collect()
}

fn the_checks_of_causes_see_what_they_are_against() {
    for text in [
        r#"log::warn!("x: {error}")"#,
        r#"log::warn!("x: {}", error)"#,
        r#"log::warn!("x: {errno}")"#,
        r#"log::debug!("x: {}: {error}", with_causes(&other))"#,
        r#"log::debug!("{}: {}", &err, 1)"#,
        r#"format!("{e:?}")"#,
    ] {
        assert_eq!(bare(&tokens(text)).len(), 1, "{text}");
    }
    for text in [
        r#"log::warn!("x: {}", with_causes(&error))"#,
        r#"panic!("x: {error}")"#,
    ] {
        assert!(bare(&tokens(text)).is_empty(), "{text}");
    }
    for text in ["error.source()", "error.chain()", r#"f("{error:#}")"#] {
        assert_eq!(followed(&tokens(text)).len(), 1, "{text}");
    }
    assert!(followed(&tokens("error.source.kind()")).is_empty());
    assert_eq!(failures(&tokens(r#"f("failed to open")"#)).len(), 1);
    assert!(failures(&tokens(r#"f("cannot open")"#)).is_empty());
    for text in [
        r#"#[error("open {path}")]"#,
        r#"#[error("{action} {path}")]"#,
        r#"it.context("read it")"#,
        r#"it.with_context(|| format!("read {it}"))"#,
    ] {
        assert_eq!(orders(&tokens(text)).len(), 1, "{text}");
    }
    for text in [
        r#"#[error("cannot open {path}")]"#,
        r#"#[error("the store is full")]"#,
        r#"#[error(transparent)]"#,
        r#"it.context("opening hours are over")"#,
    ] {
        assert!(orders(&tokens(text)).is_empty(), "{text}");
    }
}

/// The lines of texts for logs, records, answers and terminals that show an error without its causes.
fn bare(code: &[Token]) -> Vec<String> {
    let opens = (0..code.len()).filter_map(|at| {
        let name = |names: &[&str], name: usize| names.iter().any(|it| code[name].is(it));
        if begins(&code[at..], &["format", "!", "("]) {
            return Some(at + 2);
        }
        let is_log = begins(&code[at..], &["log", ":", ":"])
            && begins(code.get(at + 4..)?, &["!", "("])
            && name(&LOG, at + 3);
        is_log.then_some(at + 5)
    });
    opens
        .filter(|&open| is_bare(&code[open + 1..behind_closing(code, open)]))
        .map(|open| line(&code[open]))
        .collect()
}

/// The arguments of a macro, with the closing parenthesis.
fn is_bare(arguments: &[Token]) -> bool {
    let formats = arguments.iter().filter(|token| token.kind == Kind::String);
    let in_format = formats.map(|token| &token.text).any(|format| {
        let named = ERRORS.iter();
        named
            .flat_map(|name| [format!("{{{name}}}"), format!("{{{name}:")])
            .any(|braces| format.contains(&braces))
    });
    // An argument that is an error and nothing else.
    let arguments: Vec<_> = arguments.iter().filter(|token| !token.is("&")).collect();
    let as_argument = arguments.windows(3).any(|three| {
        let is_error = ERRORS.iter().any(|name| three[1].is(name));
        three[0].is(",") && is_error && (three[2].is(",") || three[2].is(")"))
    });
    in_format || as_argument
}

/// The lines that come by an error's causes: std's way, anyhow's iterator, and anyhow's `{error:#}`.
fn followed(code: &[Token]) -> Vec<String> {
    let found = (0..code.len()).filter(|&at| {
        begins(&code[at..], &[".", "source", "(", ")"])
            || begins(&code[at..], &[".", "chain", "(", ")"])
            || (code[at].kind == Kind::String && code[at].text.contains(":#}"))
    });
    found.map(|at| line(&code[at])).collect()
}

/// The lines of errors and of their contexts that begin with what was wanted.
fn orders(code: &[Token]) -> Vec<String> {
    let beginnings: [&[&str]; 4] = [
        &["#", "[", "error", "("],
        &["context", "("],
        &["context", "(", "format", "!", "("],
        &["with_context", "(", "|", "|", "format", "!", "("],
    ];
    let found = (0..code.len()).filter(|&at| {
        let texts = beginnings.iter().filter_map(|beginning| {
            let text = code.get(at + beginning.len())?;
            (begins(&code[at..], beginning) && text.kind == Kind::String).then_some(text)
        });
        texts.map(|text| &text.text).any(|text| {
            let first = text.split([' ', '\\']).next().unwrap_or_default();
            VERBS.contains(&first)
        })
    });
    found.map(|at| line(&code[at])).collect()
}

/// The lines of texts that say "failed to".
fn failures(code: &[Token]) -> Vec<String> {
    let texts = code.iter().filter(|token| token.kind == Kind::String);
    let found = texts.filter(|token| token.text.contains("failed to "));
    found.map(line).collect()
}

fn line(token: &Token) -> String {
    format!("line {}", token.line)
}
