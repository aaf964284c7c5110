//! A log line says why: an error with a cause is logged with it, by `with_causes`.

use super::sources::{self, Source, as_many_as_listed, begins};
use super::tokens::{Kind, Token, behind_closing};
use crate::runner::tests;

tests![no_log_line_leaves_out_the_causes_of_an_error];

/// Lines that print an error bare, in each file that has some. The figures may only fall.
const BARE: &[(&str, usize)] = &[
    ("src/agent/daemon.rs", 1),
    ("src/agent/functions.rs", 3),
    ("src/agent/output/log.rs", 1),
    ("src/agent/release/grants.rs", 1),
    ("src/agent/release/releases.rs", 2),
    ("src/agent/run/context.rs", 1),
    ("src/agent/run/threads.rs", 1),
    ("src/agent/serve/service.rs", 3),
    ("src/agent/who/runners.rs", 1),
    ("src/agent/workdir/work_dirs.rs", 4),
    ("src/api/routes/render.rs", 1),
    ("src/archive/extract.rs", 1),
    ("src/base/pool.rs", 1),
    ("src/base/process.rs", 2),
    ("src/base/sqlite/database.rs", 1),
    ("src/base/sqlite/writer.rs", 1),
    ("src/control/contacts.rs", 1),
    ("src/control/dispatch.rs", 7),
    ("src/control/executions/list.rs", 1),
    ("src/control/feed.rs", 2),
    ("src/control/health.rs", 1),
    ("src/control/idempotency.rs", 1),
    ("src/control/janitor.rs", 1),
    ("src/control/records/fetch.rs", 2),
    ("src/control/sync.rs", 3),
    ("src/host/addresses.rs", 1),
    ("src/http/server/serve.rs", 3),
    ("src/http/server/watch.rs", 1),
    ("src/rpc/serve.rs", 4),
    ("src/sandbox/linux/cgroup/kill.rs", 1),
    ("src/sandbox/linux/disk/project/looks.rs", 1),
    ("src/sandbox/linux/disk/watch.rs", 1),
    ("src/sandbox/linux/follow/orphans.rs", 1),
    ("src/sandbox/linux/landlock/domains.rs", 1),
    ("src/sandbox/linux/sandbox.rs", 1),
    ("src/sandbox/linux/start/clone.rs", 1),
];

const MACROS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// What errors are called.
const ERRORS: [&str; 3] = ["error", "err", "e"];
const HELPER: &str = "with_causes";

fn no_log_line_leaves_out_the_causes_of_an_error() {
    let all = sources::of_src().iter();
    let found = all.map(|source| (source.path.as_str(), bare_lines(source)));
    as_many_as_listed(&found.collect(), BARE);
}

fn bare_lines(source: &Source) -> Vec<String> {
    let code = source.code();
    let mut lines = Vec::new();
    for at in 0..code.len() {
        let is_log = MACROS
            .iter()
            .any(|name| begins(&code[at..], &["log", ":", ":", name, "!", "("]));
        if is_log && is_bare(&code[at + 6..behind_closing(&code, at + 5)]) {
            lines.push(format!("line {}", code[at].line));
        }
    }
    lines
}

/// The arguments of a macro, with the closing parenthesis.
fn is_bare(arguments: &[Token]) -> bool {
    if arguments.iter().any(|token| token.is(HELPER)) {
        return false;
    }
    let formats = arguments.iter().filter(|token| token.kind == Kind::String);
    let in_format = formats.map(|token| &token.text).any(|format| {
        let named = ERRORS.iter();
        named
            .flat_map(|name| [format!("{{{name}}}"), format!("{{{name}:?}}")])
            .any(|braces| format.contains(&braces))
    });
    // An argument that is an error and nothing else.
    let as_argument = arguments.windows(3).any(|three| {
        let is_error = ERRORS.iter().any(|name| three[1].is(name));
        three[0].is(",") && is_error && (three[2].is(",") || three[2].is(")"))
    });
    in_format || as_argument
}
