//! Which file is which module: followed from the roots of all programs by `mod`, with `#[path]`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use super::sources::{self, Source, none_of, root};
use super::tokens::{Kind, Token, behind_closing, tokens};
use crate::runner::tests;

tests![
    every_file_is_a_module_of_some_program,
    no_file_of_the_library_is_a_module_elsewhere_than_where_it_lies,
    no_code_is_included_but_the_generated_protocol,
];

/// Where cargo begins; the probe is an example, and the rest of `tests` is `system` and what it shares.
const ROOTS: [&str; 5] = [
    "src/lib.rs",
    "src/bin/flux.rs",
    "src/bin/flux_agent.rs",
    "tests/system/main.rs",
    "tests/escape_probe/main.rs",
];

/// The library's files, and the modules that they are: `src/rpc/mod.rs` is `["rpc"]`.
pub static OF_LIBRARY: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let mut tree = Tree::default();
    tree.enter(Path::new("src/lib.rs"), &[], true);
    tree.0
});

fn every_file_is_a_module_of_some_program() {
    let mut tree = Tree::default();
    for start in ROOTS {
        tree.enter(Path::new(start), &[], true);
    }
    let all = sources::of_src().iter().chain(sources::of_tests());
    let lost = all.filter(|source| !tree.0.contains_key(&source.path));
    let lost: Vec<_> = lost
        .map(|source| format!("{} is compiled by nobody: no `mod` names it", source.path))
        .collect();
    none_of(&lost);
}

fn no_file_of_the_library_is_a_module_elsewhere_than_where_it_lies() {
    let below_src = OF_LIBRARY
        .iter()
        .filter(|(path, _)| path.starts_with("src/"));
    let moved = below_src.filter(|(path, module)| {
        let place = path.split('/').nth(1).map(|it| it.trim_end_matches(".rs"));
        module.first().is_some_and(|it| Some(it.as_str()) != place)
    });
    let moved: Vec<_> = moved
        .map(|(path, module)| format!("{path} is {}", module.join("::")))
        .collect();
    none_of(&moved);
}

/// What is included is not read by these checks.
fn no_code_is_included_but_the_generated_protocol() {
    const GENERATED: &str = "src/wire/mod.rs";
    let all = sources::of_src().iter().chain(sources::of_tests());
    let including = all.filter(|source| {
        let pairs = source.tokens.windows(2);
        let mut calls = pairs.filter(|pair| pair[0].is("include") && pair[1].is("!"));
        source.path != GENERATED && calls.next().is_some()
    });
    none_of(&including.map(|it| it.path.clone()).collect::<Vec<_>>());
}

#[derive(Default)]
struct Tree(BTreeMap<String, Vec<String>>);

/// A `mod name;`.
struct Declared {
    name: String,
    /// Inline modules around it.
    inside: Vec<String>,
    /// Of `#[path = "…"]`, also in a `cfg_attr`; each of several.
    paths: Vec<String>,
}

impl Tree {
    /// `is_owner`: its modules lie beside it, as those of a `mod.rs`, and not in a directory of its name.
    fn enter(&mut self, file: &Path, module: &[String], is_owner: bool) {
        let Ok(text) = std::fs::read_to_string(root().join(file)) else {
            // The other platform's, say, or what the compiler would complain about.
            return;
        };
        let path = file.to_string_lossy().into_owned();
        if self.0.insert(path, module.to_vec()).is_some() {
            return;
        }
        let directory = file.parent().expect("a directory");
        for declared in declared(&tokens(&text)) {
            let mut module = module.to_vec();
            module.extend(declared.inside.iter().cloned());
            module.push(declared.name.clone());
            for path in &declared.paths {
                self.enter(&plain(&directory.join(path)), &module, true);
            }
            if !declared.paths.is_empty() {
                continue;
            }
            let mut place = directory.to_owned();
            if !is_owner {
                place.push(file.file_stem().expect("a name"));
            }
            place.extend(&declared.inside);
            let beside = place.join(format!("{}.rs", declared.name));
            self.enter(&beside, &module, false);
            self.enter(&place.join(&declared.name).join("mod.rs"), &module, true);
        }
    }
}

fn declared(tokens: &[Token]) -> Vec<Declared> {
    let mut found = Vec::new();
    // Names of inline modules, and where they end.
    let mut around: Vec<(String, usize)> = Vec::new();
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        around.retain(|(_, end)| at < *end);
        let token = &tokens[at];
        if token.is("#") && tokens.get(at + 1).is_some_and(|next| next.is("[")) {
            let end = behind_closing(tokens, at + 1);
            paths.extend(path_of(&tokens[at..end]));
            at = end;
            continue;
        }
        if let [keyword, name, end, ..] = &tokens[at..]
            && keyword.is("mod")
            && name.is_name()
        {
            let inside = around.iter().map(|(name, _)| name.clone()).collect();
            if end.is(";") {
                found.push(Declared {
                    name: name.text.clone(),
                    inside,
                    paths: std::mem::take(&mut paths),
                });
            } else if end.is("{") {
                around.push((name.text.clone(), behind_closing(tokens, at + 2)));
            }
            at += 3;
            continue;
        }
        // Of the attributes of something else.
        if !token.is("pub") && !token.is("(") && !token.is(")") {
            paths.clear();
        }
        at += 1;
    }
    found
}

/// The path in an attribute.
fn path_of(attribute: &[Token]) -> Option<String> {
    let path = attribute
        .windows(3)
        .find(|three| three[0].is("path") && three[1].is("=") && three[2].kind == Kind::String)?;
    Some(path[2].text.clone())
}

/// Without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            component => plain.push(component),
        }
    }
    plain
}

/// The module that a file of the library is; nothing for one that is none.
pub fn module_of(source: &Source) -> Option<&'static [String]> {
    OF_LIBRARY.get(&source.path).map(Vec::as_slice)
}
