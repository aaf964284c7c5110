//! What a text in YAML or JSON says, as a bounded tree: the one form that all readers of
//! configurations and request bodies work on.
//!
//! Refuses: keys that stand in a mapping twice, and more or deeper values than anybody needs; the
//! readers of both formats hold that.

use super::error::FieldError;
use super::section::{Report, Section};

/// Values of one document, after the expansion of aliases and including the copies kept for them.
/// The largest annotated example has under 100; 256 environment entries have 512, and the
/// arguments of a call at the most 4096.
pub(crate) const MAX_NODES: usize = 20_000;
/// Nesting; the deepest known key is two levels down.
pub(crate) const MAX_DEPTH: usize = 16;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub value: Value,
    /// From 1; 0 where the format's reader does not say.
    pub line: usize,
    /// From 1; 0 where the format's reader does not say.
    pub column: usize,
}

/// What a document consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`, unquoted.
    Null,
    /// In YAML: any other scalar as it was written, after the removal of quotes and escapes. What it
    /// is depends on who asks.
    Scalar(String),
    /// A string of a JSON document.
    Text(String),
    /// A number of a JSON document, as it was written.
    Number(String),
    /// `true` or `false` of a JSON document.
    Truth(bool),
    Sequence(Vec<Node>),
    /// Keys with values, in their order.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Stands once in its mapping.
    pub key: String,
    /// The line of the key, counted as in [`Node`].
    pub line: usize,
    /// The column of the key, counted as in [`Node`].
    pub column: usize,
    pub value: Node,
}

impl Node {
    /// What it is, in words, without what it says.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) | Value::Text(_) => "a text",
            Value::Number(_) => "a number",
            Value::Truth(_) => "true or false",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "keys with values",
        }
    }

    /// Reads the whole document by its keys. `read` asks for each key it knows, and gives nothing
    /// only after it has noted why.
    ///
    /// # Errors
    /// Every bad key at once.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(Section<'_>) -> Option<T>,
    ) -> Result<T, Vec<FieldError>> {
        let report = Report::default();
        let value = read(Section::root(&report, self));
        let errors = report.into_errors();
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            Some(_) | None => Err(errors),
        }
    }
}
