//! Columns for people: left-aligned, two spaces between, upper-case heads.

use std::fmt;

use serde_json::Value;

use super::printer::printable;

/// Rows of text under fixed heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(heads: &[&'static str]) -> Table {
        Table {
            heads: heads.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// One row for each item of a JSON array, by keys; `a.b` looks into `a`.
    pub fn of(items: &Value, columns: &[(&'static str, &str)]) -> Table {
        let heads: Vec<_> = columns.iter().map(|(head, _)| *head).collect();
        let mut table = Table::new(&heads);
        for item in items.as_array().into_iter().flatten() {
            table.row(columns.iter().map(|(_, path)| cell(item, path)));
        }
        table
    }

    /// Names and values of one JSON object, one a line; nested objects by dotted names.
    pub fn facts(object: &Value) -> Table {
        let mut table = Table::new(&["KEY", "VALUE"]);
        add_facts(&mut table, "", object);
        table
    }
}

/// The text of a value at a dotted path; `-` when there is none.
pub fn cell(item: &Value, path: &str) -> String {
    let value = path.split('.').try_fold(item, |value, key| value.get(key));
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_f64() => {
            format!("{:.1}", number.as_f64().unwrap_or_default())
        }
        Some(other) => other.to_string(),
    }
}

fn add_facts(table: &mut Table, prefix: &str, object: &Value) {
    for (key, value) in object.as_object().into_iter().flatten() {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(_) => add_facts(table, &format!("{name}."), value),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => table.row([name, cell(object, key)]),
        }
    }
}

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

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let items = json!([{"id": "a", "node": {"cpu": 1.25}}, {"id": "long-id", "node": null}]);
        let table = Table::of(&items, &[("ID", "id"), ("CPU", "node.cpu")]);
        assert_eq!(
            table.to_string(),
            "ID       CPU\na        1.2\nlong-id  -\n"
        );
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let table = Table::facts(&json!({"error": "\u{1b}[2Jgone", "usage": {"cpu_ms": 3}}));
        let text = table.to_string();
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.contains("usage.cpu_ms  3"), "{text}");
    }
}
