//! Columns for people: left-aligned, two spaces between, upper-case heads.

use std::fmt;

use serde_json::{Map, Value};

use super::printer::printable;

/// Rows of text under fixed heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// A head, and what stands below it for an item.
pub(crate) type Column<T> = (&'static str, fn(&T) -> String);

impl Table {
    pub(crate) fn new(heads: &[&'static str]) -> Table {
        Table {
            heads: heads.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// One row for each item.
    pub(crate) fn of<T>(items: &[T], columns: &[Column<T>]) -> Table {
        let heads: Vec<_> = columns.iter().map(|(head, _)| *head).collect();
        let mut table = Table::new(&heads);
        for item in items {
            table.row(columns.iter().map(|(_, cell)| cell(item)));
        }
        table
    }

    /// Whatever a JSON object says, one key a line, with dotted keys for objects in it. It takes JSON
    /// and no type of the contract, so that it also shows what a newer control plane adds, and shows
    /// nothing that an older one did not say.
    pub(crate) fn facts(fields: &Map<String, Value>) -> Table {
        let mut table = Table::new(&["KEY", "VALUE"]);
        add_facts(&mut table, "", fields);
        table
    }
}

fn add_facts(table: &mut Table, prefix: &str, fields: &Map<String, Value>) {
    for (key, value) in fields {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(fields) => add_facts(table, &format!("{name}."), fields),
            value => table.row([name, value.cell()]),
        }
    }
}

/// What has a text in a table.
pub(crate) trait Cell {
    /// `-` where there is nothing to say.
    fn cell(&self) -> String;
}

const NOTHING: &str = "-";

impl Cell for str {
    fn cell(&self) -> String {
        if self.is_empty() { NOTHING } else { self }.to_owned()
    }
}

impl Cell for String {
    fn cell(&self) -> String {
        self.as_str().cell()
    }
}

impl Cell for f64 {
    fn cell(&self) -> String {
        format!("{self:.1}")
    }
}

impl<T: Cell> Cell for Option<T> {
    fn cell(&self) -> String {
        self.as_ref().map_or_else(|| NOTHING.to_owned(), T::cell)
    }
}

impl Cell for Value {
    fn cell(&self) -> String {
        match self {
            Value::Null => NOTHING.to_owned(),
            Value::String(text) => text.cell(),
            Value::Number(number) => match number.as_f64() {
                Some(float) if number.is_f64() => float.cell(),
                Some(_) | None => number.to_string(),
            },
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => self.to_string(),
        }
    }
}

macro_rules! cells_as_displayed {
    ($($kind:ty),*) => {
        $(impl Cell for $kind {
            fn cell(&self) -> String {
                self.to_string()
            }
        })*
    };
}

cells_as_displayed!(bool, i32, i64, u32, u64);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .chain([self.heads[column].len()])
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let heads: Vec<String> = self.heads.iter().map(|&head| head.to_owned()).collect();
        for row in [&heads].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (cell, &width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(value: &Value) -> String {
        Table::facts(value.as_object().expect("an object")).to_string()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let items = [("a", Some(1.25)), ("long-id", None)];
        let table = Table::of(
            &items,
            &[("ID", |item| item.0.cell()), ("CPU", |item| item.1.cell())],
        );
        assert_eq!(
            table.to_string(),
            "ID       CPU\na        1.2\nlong-id  -\n"
        );
    }

    #[test]
    fn facts_are_all_keys_of_an_object_and_of_the_objects_in_it() {
        let object = json!({
            "a": {"b": {"c": 1.0, "d": 2}, "e": null},
            "f": ["x", 1], "g": "", "h": true,
        });
        assert_eq!(
            facts(&object),
            "KEY    VALUE\na.b.c  1.0\na.b.d  2\na.e    -\nf      [\"x\",1]\ng      -\nh      true\n"
        );
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let text = facts(&json!({"error": "\u{1b}[2Jgone", "key\n": 3}));
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert_eq!(text.lines().count(), 3, "{text:?}");
    }
}
