//! Who may import whom.

use std::collections::BTreeSet;

use super::paths::named;
use super::sources::{self, Source, none_of, text_of};
use super::tree::module_of;
use crate::runner::tests;

tests![
    every_module_stands_on_a_row,
    imports_go_from_later_rows_to_earlier_ones_alone,
    the_documents_draw_the_same_rows,
];

/// The rows from the ground up. A module may import what stands on the rows before its own, and nothing
/// of its own row but itself.
const ROWS: &[Row] = &[
    Row::of(&["base"]),
    Row::of(&["model"]),
    Row::of(&["contract"]).for_only(&["wire", "api", "cli", "control"]),
    Row::of(&["config", "policy", "wire", "stored"]),
    Row::of(&["store", "pki", "rpc", "archive", "sandbox", "host"]),
    Row::of(&["http"])
        .importing(&["base"])
        .for_only(&["api", "cli"]),
    Row::of(&["control", "agent"]),
    Row::of(&["api"]),
    Row::of(&["cli"]),
    Row::of(&["bin"]),
];

struct Row {
    modules: &'static [&'static str],
    /// What its modules may import, where that is less.
    imports: Option<&'static [&'static str]>,
    /// Who may import its modules, where those are fewer.
    importers: Option<&'static [&'static str]>,
}

impl Row {
    const fn of(modules: &'static [&'static str]) -> Row {
        Row {
            modules,
            imports: None,
            importers: None,
        }
    }

    const fn importing(self, modules: &'static [&'static str]) -> Row {
        Row {
            imports: Some(modules),
            ..self
        }
    }

    const fn for_only(self, modules: &'static [&'static str]) -> Row {
        Row {
            importers: Some(modules),
            ..self
        }
    }
}

fn row_of(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.modules.contains(&module))
}

fn may_import(importer: &str, imported: &str) -> bool {
    let (Some(from), Some(to)) = (row_of(importer), row_of(imported)) else {
        return false;
    };
    let is_imported_there = ROWS[from].imports.is_none_or(|it| it.contains(&imported));
    let is_for_it = ROWS[to].importers.is_none_or(|it| it.contains(&importer));
    importer == imported || (to < from && is_imported_there && is_for_it)
}

fn every_module_stands_on_a_row() {
    let modules: BTreeSet<&str> = sources::of_src().iter().map(Source::module).collect();
    let on_rows: BTreeSet<&str> = ROWS.iter().flat_map(|row| row.modules).copied().collect();
    let mut wrong = Vec::new();
    for module in modules.difference(&on_rows).filter(|it| **it != "lib") {
        wrong.push(format!("{module} stands on no row"));
    }
    for module in on_rows.difference(&modules) {
        wrong.push(format!("{module} is no module"));
    }
    none_of(&wrong);
}

fn imports_go_from_later_rows_to_earlier_ones_alone() {
    let mut wrong = Vec::new();
    for source in sources::of_src().iter().filter(|it| it.module() != "lib") {
        let module = module_of(source).unwrap_or_default();
        for named in named(&source.tokens, module) {
            let [root, imported, ..] = &named.path[..] else {
                continue;
            };
            if root == "crate" && !may_import(source.module(), imported) {
                wrong.push(format!(
                    "{}:{}: {} imports {imported}",
                    source.path,
                    named.line,
                    source.module()
                ));
            }
        }
    }
    none_of(&wrong);
}

/// "base ← model ← {config, policy, wire, stored} ← …": what stands left of another there may not import
/// it, and every module stands there once.
fn the_documents_draw_the_same_rows() {
    let mut wrong = Vec::new();
    for document in ["ARCHITECTURE.md", "src/lib.rs"] {
        let text = text_of(document);
        let drawn = text.lines().find(|line| line.contains("base ← "));
        let drawn = drawn.unwrap_or_else(|| panic!("{document} draws no rows"));
        let groups: Vec<Vec<&str>> = drawn.split('←').map(names).collect();
        let all: Vec<&str> = groups.concat();
        let modules = ROWS.iter().flat_map(|row| row.modules);
        for module in modules.filter(|it| all.iter().filter(|name| name == it).count() != 1) {
            wrong.push(format!("{document} does not draw {module} once"));
        }
        for (at, group) in groups.iter().enumerate() {
            let later = groups[at..].concat();
            for (earlier, later) in group
                .iter()
                .flat_map(|it| later.iter().map(move |l| (it, l)))
            {
                if earlier != later && may_import(earlier, later) {
                    wrong.push(format!(
                        "{document} says that {earlier} cannot import {later}"
                    ));
                }
            }
        }
    }
    none_of(&wrong);
}

fn names(group: &str) -> Vec<&str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = group.split(|c| !is_of_name(c));
    names.filter(|name| !name.is_empty()).collect()
}
