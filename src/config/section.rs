//! Reads one mapping key by key, and notes everything that is wrong instead of stopping at the first.
//!
//! A reader asks a [`Section`] for each key it knows; [`Section::finish`] then refuses what nobody
//! asked for, with the nearest known key as a suggestion. What was asked for is remembered, so that
//! a test can hold the annotated examples to it.

use std::cell::RefCell;

use super::document::{Entry, Node, Value};
use super::error::FieldError;

/// Where the findings of one document gather.
#[derive(Debug, Default)]
pub(crate) struct Report {
    errors: RefCell<Vec<FieldError>>,
    known: RefCell<Vec<String>>,
}

impl Report {
    /// Notes a finding at a place.
    pub(crate) fn add(&self, field: &str, message: String, (line, column): (usize, usize)) {
        self.errors.borrow_mut().push(FieldError {
            field: field.to_owned(),
            message,
            line,
            column,
        });
    }

    /// The findings, in the order of the document.
    pub(crate) fn into_errors(self) -> Vec<FieldError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| (error.line, error.column));
        errors
    }

    /// Every key path that was asked for.
    #[cfg(test)]
    pub(crate) fn known(&self) -> Vec<String> {
        self.known.borrow().clone()
    }
}

/// One mapping of the document; absent ones read as empty.
pub(crate) struct Section<'a> {
    report: &'a Report,
    path: String,
    place: (usize, usize),
    entries: &'a [Entry],
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The root of a document; anything but a mapping or nothing is a finding.
    pub(crate) fn root(report: &'a Report, node: &'a Node) -> Section<'a> {
        Section::at(report, String::new(), Some(node), (node.line, node.column))
    }

    /// A mapping under `key`.
    pub(crate) fn section(&mut self, key: &'static str) -> Section<'a> {
        let path = self.path_of(key);
        let node = self.ask(key);
        Section::at(self.report, path, node, self.place)
    }

    /// The value of a key that must be there.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        let place = self.place;
        let Some(node) = self.present(key) else {
            self.report
                .add(&self.path_of(key), "is missing".to_owned(), place);
            return None;
        };
        self.read(key, node, read)
    }

    /// The value of a key that may be absent or null.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        let node = self.present(key)?;
        self.read(key, node, read)
    }

    /// As [`Section::optional`], with a default. The default also stands in for a bad value, which
    /// goes nowhere because the report is not empty.
    pub(crate) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Node) -> Result<T, String>,
    ) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    /// Notes a finding about `key` that needs more than its own value.
    pub(crate) fn refuse(&self, key: &str, message: impl Into<String>) {
        let place = self
            .entries
            .iter()
            .find(|entry| entry.key == key)
            .map_or(self.place, |entry| (entry.line, entry.column));
        self.report.add(&self.path_of(key), message.into(), place);
    }

    /// Refuses every key that was not asked for.
    pub(crate) fn finish(self) {
        for entry in self.entries {
            if !self.asked.contains(&entry.key.as_str()) {
                self.refuse(&entry.key, unknown(&entry.key, &self.asked));
            }
        }
    }

    fn at(
        report: &'a Report,
        path: String,
        node: Option<&'a Node>,
        parent: (usize, usize),
    ) -> Section<'a> {
        let entries: &[Entry] = match node.map(|node| &node.value) {
            None | Some(Value::Null) => &[],
            Some(Value::Mapping(entries)) => entries,
            Some(
                Value::Scalar(_)
                | Value::Text(_)
                | Value::Number(_)
                | Value::Truth(_)
                | Value::Sequence(_),
            ) => {
                let place = node.map_or(parent, |node| (node.line, node.column));
                report.add(&path, "expected keys with values".to_owned(), place);
                &[]
            }
        };
        Section {
            report,
            path,
            place: node.map_or(parent, |node| (node.line, node.column)),
            entries,
            asked: Vec::new(),
        }
    }

    fn read<T>(
        &self,
        key: &str,
        node: &Node,
        read: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        read(node)
            .map_err(|message| {
                self.report
                    .add(&self.path_of(key), message, (node.line, node.column));
            })
            .ok()
    }

    fn present(&mut self, key: &'static str) -> Option<&'a Node> {
        self.ask(key).filter(|node| node.value != Value::Null)
    }

    fn ask(&mut self, key: &'static str) -> Option<&'a Node> {
        self.report.known.borrow_mut().push(self.path_of(key));
        self.asked.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

fn unknown(key: &str, known: &[&'static str]) -> String {
    // Half of the letters wrong is another word, not a slip.
    let nearest = known
        .iter()
        .map(|candidate| (edit_distance(key, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min();
    match nearest {
        Some((_, candidate)) => format!("is no known key; did you mean {candidate}?"),
        None => format!("is no known key; known here: {}", known.join(", ")),
    }
}

/// Levenshtein's, over characters, of the first 64 of each.
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_single_letter_changes() {
        for (left, right, distance) in [
            ("", "", 0),
            ("handler", "handler", 0),
            ("handelr", "handler", 2),
            ("timeouts", "timeout", 1),
            ("a", "", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
        }
    }
}
