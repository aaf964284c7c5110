//! The sources as the checks read them: every file of `src` and `tests`, its tokens, and which of them are
//! the library's own and not its tests'.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::tokens::{Token, behind_closing, tokens};

/// A file.
pub struct Source {
    /// From the root of the project, as `src/rpc/mod.rs`.
    pub path: String,
    pub text: String,
    pub tokens: Vec<Token>,
}

static SRC: LazyLock<Vec<Source>> = LazyLock::new(|| read("src"));
static TESTS: LazyLock<Vec<Source>> = LazyLock::new(|| read("tests"));

/// Every file of the library and the binaries, with their tests.
pub fn of_src() -> &'static [Source] {
    &SRC
}

/// Every file of the tests outside.
pub fn of_tests() -> &'static [Source] {
    &TESTS
}

/// The root of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text file of the project.
pub fn text_of(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with all of them, if there are any.
#[track_caller]
pub fn none_of(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

/// Fails where a file has another number of what a rule is against than the list says: more is a violation,
/// and where it is less, the list has to follow, so that it can only fall.
#[track_caller]
pub fn as_many_as_listed(found: &BTreeMap<&str, Vec<String>>, listed: &[(&str, usize)]) {
    let mut wrong = Vec::new();
    let paths = found.keys().chain(listed.iter().map(|(path, _)| path));
    for path in paths.collect::<BTreeSet<_>>() {
        let here = found.get(path).map_or(&[][..], Vec::as_slice);
        let known = listed.iter().find(|(it, _)| it == path);
        let known = known.map_or(0, |(_, count)| *count);
        if here.len() != known {
            wrong.push(format!(
                "{path} has {}, where the list says {known}: {}",
                here.len(),
                here.join(", ")
            ));
        }
    }
    none_of(&wrong);
}

fn read(directory: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(directory), &mut paths);
    assert!(paths.len() > 50, "the sources are not where they were");
    paths.sort();
    paths.iter().map(|path| Source::read(path)).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    fn read(path: &Path) -> Source {
        let text = fs::read_to_string(path).expect("a source is UTF-8");
        let path = path.strip_prefix(root()).expect("below the root");
        Source {
            path: path.to_string_lossy().replace('\\', "/"),
            tokens: tokens(&text),
            text,
        }
    }

    /// The top-level module that it is part of: `rpc`, `bin`, `lib`.
    pub fn module(&self) -> &str {
        let below = self.path.split('/').nth(1).unwrap_or_default();
        below.trim_end_matches(".rs")
    }

    /// Whether all of it is tests.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The tokens that are not below `#[cfg(test)]`; none, where all of it is tests.
    pub fn code(&self) -> Vec<Token> {
        if self.is_test() {
            return Vec::new();
        }
        let mut code = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if begins(
                &self.tokens[at..],
                &["#", "[", "cfg", "(", "test", ")", "]"],
            ) {
                at = behind_item(&self.tokens, at);
            } else {
                code.push(self.tokens[at].clone());
                at += 1;
            }
        }
        code
    }

    pub fn at(&self, token: &Token) -> String {
        format!("{}:{}", self.path, token.line)
    }
}

/// Whether the tokens begin with these.
pub fn begins(tokens: &[Token], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && texts.iter().zip(tokens).all(|(text, token)| token.is(text))
}

/// The place behind the item whose attributes begin at `start`.
fn behind_item(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while begins(&tokens[at..], &["#", "["]) {
        at = behind_closing(tokens, at + 1);
    }
    while at < tokens.len() && !tokens[at].is(";") && !tokens[at].is("{") {
        at = match tokens[at].text.as_str() {
            "(" | "[" => behind_closing(tokens, at),
            _ => at + 1,
        };
    }
    match tokens.get(at) {
        Some(token) if token.is("{") => behind_closing(tokens, at),
        _ => at + 1,
    }
}
