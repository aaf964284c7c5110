//! What may stand in certain places alone: libraries, unsafe code, ways around what is ours.

use super::paths::named;
use super::sources::{self, Source, as_many_as_listed, begins, none_of, text_of};
use super::tokens::{Kind, Token};
use super::tree::module_of;
use crate::runner::tests;

tests![
    libraries_and_unsafe_code_stay_in_their_places,
    what_is_deliberately_absent_is,
    lints_are_expected_with_a_reason_and_never_silently_allowed,
    clippy_refuses_what_the_documents_say_it_does,
    no_library_brings_an_async_runtime,
    platforms_are_chosen_where_modules_are_declared,
    the_binaries_only_start_what_the_library_holds,
];

/// What may stand in certain places below `src/` alone, and why.
struct Confined {
    what: What,
    places: &'static [&'static str],
    why: &'static str,
}

enum What {
    Keyword(&'static str),
    /// The first name of a path.
    Library(&'static str),
    /// Two names that follow one another in a path.
    Pair(&'static str, &'static str),
}

const CONFINED: [Confined; 12] = [
    Confined {
        what: What::Library("libnghttp2_sys"),
        places: &["rpc/h2/session"],
        why: "frames are made and understood in one place",
    },
    Confined {
        what: What::Keyword("unsafe"),
        places: &["sandbox/", "base/", "rpc/h2/session"],
        why: "unsafe code lives where it is reviewed as such",
    },
    Confined {
        what: What::Pair("process", "Command"),
        places: &["sandbox/"],
        why: "no process is started outside of the sandbox",
    },
    Confined {
        what: What::Library("rusqlite"),
        places: &[
            "store/embedded",
            "store/history/sqlite",
            "store/rows",
            "stored/record_table",
            "agent/journal",
            "base/sqlite",
        ],
        why: "SQL stays behind the store and the journal",
    },
    Confined {
        what: What::Library("anyhow"),
        places: &["bin/", "cli/"],
        why: "libraries have typed errors",
    },
    Confined {
        what: What::Pair("serde_json", "Value"),
        // What the HTTP server gives it is the one shape of errors.
        places: &[
            "api/",
            "cli/",
            "stored/",
            "wire/",
            "contract/",
            "http/response.rs",
        ],
        why: "inside, values have types",
    },
    Confined {
        what: What::Pair("thread", "Builder"),
        places: &["base/threads.rs"],
        why: "no thread is detached: the supervisor spawns and joins them",
    },
    Confined {
        what: What::Pair("thread", "spawn"),
        places: &[],
        why: "no thread is detached: the supervisor spawns and joins them",
    },
    Confined {
        what: What::Pair("thread", "sleep"),
        places: &[],
        why: "no sleeps: waits take a cancel or a condition",
    },
    Confined {
        what: What::Pair("SystemTime", "now"),
        // The time of a file is the system's.
        places: &["base/clock.rs", "store/embedded/archive_directory.rs"],
        why: "whoever decides by time is handed a clock",
    },
    Confined {
        what: What::Pair("Clock", "system"),
        places: &["cli/", "pki/issue.rs"],
        why: "whoever decides by time is handed a clock",
    },
    Confined {
        what: What::Library("zip"),
        places: &["archive/", "cli/commands/pack"],
        why: "hostile archives are read in one place",
    },
];

/// Nowhere in `src`: what it is, as tokens that follow one another, and the sentence that it would break.
const ABSENT: [(&[&str], &str); 5] = [
    (&[".", "extract", "("], "no ZipArchive::extract"),
    (&["Other", "(", "String", ")"], "no Other(String)"),
    (&["todo", "!"], "nothing is unfinished"),
    (&["tokio", ":", ":"], "no async runtime"),
    (&["block_in_place"], "no async runtime"),
];

fn libraries_and_unsafe_code_stay_in_their_places() {
    let mut wrong = Vec::new();
    for source in sources::of_src() {
        let place = source.path.trim_start_matches("src/");
        let code = source.code();
        for confined in &CONFINED {
            if confined.places.iter().any(|it| place.starts_with(it)) {
                continue;
            }
            for line in confined.what.lines_in(source, &code) {
                let what = confined.what.written();
                wrong.push(format!("{}:{line}: {what}: {}", source.path, confined.why));
            }
        }
    }
    none_of(&wrong);
}

impl What {
    fn written(&self) -> String {
        match self {
            What::Keyword(name) | What::Library(name) => (*name).to_owned(),
            What::Pair(first, second) => format!("{first}::{second}"),
        }
    }

    fn lines_in(&self, source: &Source, code: &[Token]) -> Vec<usize> {
        if let What::Keyword(name) = self {
            let tokens = code.iter().filter(|token| token.is(name));
            return tokens.map(|token| token.line).collect();
        }
        let module = module_of(source).unwrap_or_default();
        let paths = named(code, module).into_iter();
        let of_it = paths.filter(|named| self.is_named_by(&named.path));
        of_it.map(|named| named.line).collect()
    }

    fn is_named_by(&self, path: &[String]) -> bool {
        match self {
            What::Keyword(_) => false,
            What::Library(name) => path.first().is_some_and(|it| it == name),
            What::Pair(first, second) => path.windows(2).any(|it| it == [*first, *second]),
        }
    }
}

/// "What is deliberately absent": what of it a text can show.
fn what_is_deliberately_absent_is() {
    let mut wrong = Vec::new();
    for source in sources::of_src() {
        let code = source.code();
        for at in 0..code.len() {
            for (tokens, sentence) in ABSENT {
                if begins(&code[at..], tokens) {
                    let written = tokens.concat();
                    wrong.push(format!("{}: {written}: {sentence}", source.at(&code[at])));
                }
            }
        }
    }
    none_of(&wrong);
}

/// "No `#[allow]`: `#[expect(…, reason)]`."
fn lints_are_expected_with_a_reason_and_never_silently_allowed() {
    let mut wrong = Vec::new();
    for source in sources::of_src().iter().chain(sources::of_tests()) {
        for (at, token) in source
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, it)| it.is("#"))
        {
            // `#[…]` and `#![…]`.
            let inner = &source.tokens[at + 1..];
            let inner = inner.strip_prefix(&inner[..usize::from(begins(inner, &["!"]))]);
            let inner = inner.unwrap_or_default();
            if begins(inner, &["[", "allow", "("]) && !is_of_generated_code(source) {
                wrong.push(format!("{}: allow, instead of expect", source.at(token)));
            }
            if begins(inner, &["[", "expect", "("]) && !has_a_reason(inner) {
                wrong.push(format!("{}: expect without a reason", source.at(token)));
            }
        }
    }
    none_of(&wrong);
}

/// The generated protocol needs more than it can be expected to.
fn is_of_generated_code(source: &Source) -> bool {
    source.path == "src/wire/mod.rs"
}

fn has_a_reason(attribute: &[Token]) -> bool {
    let end = super::tokens::behind_closing(attribute, 0);
    attribute[..end].iter().any(|token| token.is("reason"))
}

/// "clippy refuses `thread::spawn`, `thread::sleep`, `Command::new`, `fs::write`": every name that stands
/// in backticks in a sentence that says so is in clippy.toml.
fn clippy_refuses_what_the_documents_say_it_does() {
    let refused = text_of("clippy.toml");
    let mut count = 0;
    for document in ["ARCHITECTURE.md", "docs/development.md"] {
        let text = text_of(document).replace('\n', " ");
        for sentence in text
            .split(". ")
            .filter(|it| it.contains("refuses `thread::"))
        {
            for name in sentence.split('`').skip(1).step_by(2) {
                let is_refused = refused.contains(&format!("::{name}\""));
                assert!(
                    is_refused || !name.contains("::"),
                    "{document}: {name} is not refused"
                );
                count += usize::from(is_refused);
            }
        }
    }
    assert!(count >= 4, "the documents do not say what clippy refuses");
}

/// "No async runtime." No library of ours, whoever asks for it, is one.
fn no_library_brings_an_async_runtime() {
    let lock = text_of("Cargo.lock");
    for runtime in [
        "tokio",
        "async-std",
        "smol",
        "async-executor",
        "mio",
        "hyper",
        "tonic",
    ] {
        assert!(
            !lock.contains(&format!("name = \"{runtime}\"\n")),
            "{runtime}"
        );
    }
}

/// "No `cfg` in logic. Platforms are siblings of one shape, chosen in `mod.rs`": how many stand elsewhere,
/// in each file that still has some. The figures may only fall.
const CFG_IN_LOGIC: [(&str, usize); 1] = [
    // The allocator's settings are those of one C library, not of a platform.
    ("src/base/process.rs", 1),
];

fn platforms_are_chosen_where_modules_are_declared() {
    let all = sources::of_src().iter();
    let found = all
        .filter(|source| !source.path.ends_with("/mod.rs"))
        .map(|source| {
            let code = source.code();
            let places = (0..code.len()).filter(|at| is_cfg_of_a_platform(&code[*at..]));
            let lines = places.map(|at| format!("line {}", code[at].line));
            (source.path.as_str(), lines.collect())
        });
    as_many_as_listed(&found.collect(), &CFG_IN_LOGIC);
}

fn is_cfg_of_a_platform(tokens: &[Token]) -> bool {
    let begins_cfg = begins(tokens, &["#", "[", "cfg", "("]) || begins(tokens, &["cfg", "!", "("]);
    let words = tokens.iter().take(8).filter(|it| it.kind == Kind::Name);
    let about_tests = words
        .skip(1)
        .any(|it| it.is("test") || it.is("debug_assertions"));
    begins_cfg && !about_tests
}

fn the_binaries_only_start_what_the_library_holds() {
    for source in sources::of_src().iter().filter(|it| it.module() == "bin") {
        let lines = source.text.lines().count();
        assert!(lines <= 60, "{} has {lines} lines", source.path);
    }
}
