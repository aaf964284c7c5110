//! What a person would have to remember about the structure, remembered by a check: who imports
//! whom, who may be unsafe, who names which library, how files open.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the ground up. A module may import modules of earlier rows and itself.
const LAYERS: [&[&str]; 8] = [
    &["base"],
    &["model"],
    &["contract"],
    &["config", "policy", "wire", "stored"],
    &["store", "pki", "rpc", "archive", "sandbox", "host", "http"],
    &["control", "agent"],
    &["api"],
    &["cli"],
];

/// What a module may import although it stands on a higher row: nothing else.
const ALONE: [(&str, &[&str]); 1] = [("http", &["base"])];

/// Names that belong to certain places alone: (text, where it may stand, what it would break).
const CONFINED: [(&str, &[&str], &str); 5] = [
    (
        "grpcio",
        &["rpc/", "agent/serve/service", "wire/"],
        "gRPC is frozen upstream and must be replaceable in one place",
    ),
    (
        "unsafe ",
        &["sandbox/", "base/"],
        "unsafe code lives where it is reviewed as such",
    ),
    (
        "process::Command",
        &["sandbox/"],
        "spawning processes is the sandbox's alone",
    ),
    (
        "rusqlite",
        &[
            "store/embedded",
            "store/history/sqlite",
            "store/rows",
            "agent/journal",
            "base/sqlite",
        ],
        "SQL stays behind the store and the journal",
    ),
    ("anyhow", &["bin/", "cli/"], "libraries have typed errors"),
];

struct Source {
    /// Relative to `src/`, with forward slashes.
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 50, "the sources are not where they were");
    files
        .into_iter()
        .map(|file| Source {
            path: file
                .strip_prefix(&root)
                .expect("below src")
                .to_string_lossy()
                .replace('\\', "/"),
            text: fs::read_to_string(&file).expect("source is UTF-8"),
        })
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("directory") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The top-level modules that a line refers to by `crate::…`.
fn imports(line: &str) -> Vec<String> {
    line.match_indices("crate::")
        .map(|(at, prefix)| {
            line[at + prefix.len()..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

fn is_code(line: &str) -> bool {
    !line.trim_start().starts_with("//")
}

#[test]
fn imports_go_from_later_layers_to_earlier_ones_only() {
    let mut violations = Vec::new();
    for source in sources() {
        let Some(module) = source
            .path
            .split('/')
            .next()
            .map(|m| m.trim_end_matches(".rs"))
        else {
            continue;
        };
        let Some(layer) = layer_of(module) else {
            assert!(
                matches!(module, "lib" | "bin"),
                "{module} belongs to no layer"
            );
            continue;
        };
        for (number, line) in source
            .text
            .lines()
            .enumerate()
            .filter(|(_, line)| is_code(line))
        {
            for import in imports(line) {
                let alone = ALONE.iter().find(|(name, _)| *name == module);
                let allowed = import == module
                    || match alone {
                        Some((_, imports)) => imports.contains(&import.as_str()),
                        None => layer_of(&import).is_none_or(|other| other < layer),
                    };
                if !allowed {
                    violations.push(format!(
                        "src/{}:{}: {module} imports {import}",
                        source.path,
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn libraries_and_unsafe_code_stay_in_their_places() {
    let mut violations = Vec::new();
    for source in sources() {
        for (name, places, why) in CONFINED {
            let is_test = source.path.ends_with("tests.rs") || source.path.contains("/tests/");
            if is_test || places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for (number, line) in source.text.lines().enumerate() {
                if is_code(line) && line.contains(name) {
                    violations.push(format!("src/{}:{}: {name}: {why}", source.path, number + 1));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is_about() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "without an opening: {silent:?}");
}

#[test]
fn lints_are_expected_with_a_reason_and_never_silently_allowed() {
    let violations: Vec<_> = sources()
        .into_iter()
        // The generated protocol carries attributes of its own.
        .filter(|source| source.path != "wire/mod.rs" && source.text.contains("#[allow("))
        .map(|source| source.path)
        .collect();
    assert!(
        violations.is_empty(),
        "#[allow] in {violations:?}: use #[expect(…, reason = …)]"
    );
}

#[test]
fn the_binaries_only_start_what_the_library_holds() {
    for source in sources()
        .iter()
        .filter(|source| source.path.starts_with("bin/"))
    {
        let lines = source.text.lines().count();
        assert!(lines <= 60, "src/{} has {lines} lines", source.path);
    }
}
