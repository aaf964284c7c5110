//! The paths that code names, from the root of its crate: in `use`, with their groups, and anywhere else.

use super::tokens::{Token, behind_closing};

/// A path, and the line on which it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
}

/// What the library is called from outside, and a path's first name for it from inside.
const LIBRARY: &str = "flux";
const ROOT: &str = "crate";

/// All paths of more than one name in the tokens of a module. Those in the own crate begin with `crate`.
pub fn named(tokens: &[Token], module: &[String]) -> Vec<Named> {
    let mut all = Vec::new();
    collect(tokens, module, &mut all);
    all
}

fn collect(tokens: &[Token], module: &[String], all: &mut Vec<Named>) {
    let resolved = |named: Named| Named {
        path: from_root(&named.path, module),
        ..named
    };
    let mut at = 0;
    while at < tokens.len() {
        if let [keyword, name, open, ..] = &tokens[at..]
            && keyword.is("mod")
            && name.is_name()
            && open.is("{")
        {
            let end = behind_closing(tokens, at + 2);
            let inner = [module, std::slice::from_ref(&name.text)].concat();
            collect(&tokens[at + 3..end], &inner, all);
            at = end;
        } else if tokens[at].is("use") {
            let (trees, behind) = tree(tokens, at + 1, &[]);
            all.extend(trees.into_iter().map(resolved));
            at = behind;
        } else if tokens[at].is_name() {
            let (path, behind) = path(tokens, at);
            if path.path.len() > 1 {
                all.push(resolved(path));
            }
            at = behind;
        } else {
            at += 1;
        }
    }
}

/// The names that follow one another from here on.
fn path(tokens: &[Token], start: usize) -> (Named, usize) {
    let mut names = vec![tokens[start].text.clone()];
    let mut at = start + 1;
    while let [one, two, name, ..] = &tokens[at..]
        && one.is(":")
        && two.is(":")
        && name.is_name()
    {
        names.push(name.text.clone());
        at += 3;
    }
    let line = tokens[at - 1].line;
    (Named { path: names, line }, at)
}

/// What a `use` names from here on, below `prefix`.
fn tree(tokens: &[Token], start: usize, prefix: &[String]) -> (Vec<Named>, usize) {
    let mut names = prefix.to_vec();
    let mut all = Vec::new();
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        if token.is("{") {
            let end = behind_closing(tokens, at);
            at += 1;
            while at < end - 1 {
                let (inner, behind) = tree(tokens, at, &names);
                all.extend(inner);
                at = behind;
            }
            return (all, after_comma(tokens, end));
        }
        if token.is("as") {
            // A name of its own is no part of the path.
            at += 2;
            continue;
        }
        if token.is(",") || token.is(";") || token.is("}") {
            break;
        }
        if token.is_name() || token.is("*") {
            names.push(token.text.clone());
        }
        at += 1;
    }
    if names.last().is_some_and(|name| name == "self") {
        names.pop();
    }
    let line = tokens[at.min(tokens.len()) - 1].line;
    all.push(Named { path: names, line });
    (all, after_comma(tokens, at))
}

fn after_comma(tokens: &[Token], at: usize) -> usize {
    match tokens.get(at) {
        Some(token) if token.is(",") || token.is(";") => at + 1,
        _ => at,
    }
}

/// With `self`, `super` and the library's own name resolved.
fn from_root(path: &[String], module: &[String]) -> Vec<String> {
    let mut around = module.to_vec();
    let mut rest = path;
    match rest.first().map(String::as_str) {
        Some("self") => rest = &rest[1..],
        Some("super") => {}
        Some(LIBRARY) => {
            let root = [ROOT.to_owned()];
            return root.iter().chain(&rest[1..]).cloned().collect();
        }
        _ => return path.to_vec(),
    }
    while rest.first().is_some_and(|name| name == "super") {
        around.pop();
        rest = &rest[1..];
    }
    let root = [ROOT.to_owned()];
    root.iter().chain(&around).chain(rest).cloned().collect()
}
