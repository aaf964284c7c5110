//! YAML text as a document.
//!
//! Owns: the only contact with the YAML parser. Scalars keep the text in which they were written,
//! so that `VERSION: 1.10` stays `1.10` and nothing is guessed about types before a reader asks.
//! Refuses: a second document, tags, merge keys, keys that are no plain text or occur twice, and
//! more nodes than any configuration has. Aliases are expanded, and every copy counts: a document
//! of nested aliases meets the limit long before it meets the memory.

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Marker, Parser, ScalarStyle};

use super::document::{Entry, MAX_DEPTH, MAX_NODES, Node, Value};
use super::error::Malformed;

/// Parses one document; an empty one is `Null`.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(not_utf8(bytes))?;
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        nodes: 0,
    };
    builder.document()
}

struct Builder<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Node, Malformed> {
        let mut root = None;
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(malformed(at, "expected one document, found a second"));
                }
                Event::DocumentStart(..) => {
                    let (event, at) = self.next()?;
                    root = Some(self.node(event, at, 0)?);
                }
                Event::StreamEnd => break,
                _ => return Err(malformed(at, "expected the start of a document")),
            }
        }
        Ok(root.unwrap_or(Node {
            value: Value::Null,
            line: 1,
            column: 1,
        }))
    }

    fn node(&mut self, event: Event<'a>, at: Marker, depth: usize) -> Result<Node, Malformed> {
        if depth > MAX_DEPTH {
            return Err(malformed(
                at,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.count(1, at)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.is_some(), at)?;
                (scalar(text.into_owned(), style), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.is_some(), at)?;
                (self.sequence(depth)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.is_some(), at)?;
                (self.mapping(depth)?, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, at),
            // The parser's own grammar lets nothing else start a node; its text stays unshown.
            _ => return Err(malformed(at, "expected a value")),
        };
        let node = Node {
            value,
            line: at.line(),
            column: at.col() + 1,
        };
        if anchor != 0 {
            self.count(weight(&node), at)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::Sequence(items));
            }
            items.push(self.node(event, at, depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Malformed> {
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        loop {
            let (event, at) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Mapping(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(malformed(at, "expected a plain text as key")),
            };
            if key == "<<" {
                return Err(malformed(at, "merge keys (<<) are not supported"));
            }
            if !seen.insert(key.clone()) {
                return Err(malformed(at, format!("the key {key:?} stands here twice")));
            }
            let (event, value_at) = self.next()?;
            entries.push(Entry {
                key,
                line: at.line(),
                column: at.col() + 1,
                value: self.node(event, value_at, depth + 1)?,
            });
        }
    }

    fn alias(&mut self, anchor: usize, at: Marker) -> Result<Node, Malformed> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(malformed(at, "an alias inside of what it stands for"));
        };
        let weight = weight(node);
        self.count(weight, at)?;
        Ok(self.anchors[&anchor].clone())
    }

    fn count(&mut self, nodes: usize, at: Marker) -> Result<(), Malformed> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(malformed(
                at,
                format!("more than {MAX_NODES} values, aliases expanded"),
            ));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<(Event<'a>, Marker), Malformed> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(error)) => Err(malformed(*error.marker(), error.kind().to_string())),
            None => Err(malformed(Marker::new(0, 1, 0), "the text ends too early")),
        }
    }
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    let is_null = matches!(style, ScalarStyle::Plain)
        && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
    if is_null {
        Value::Null
    } else {
        Value::Scalar(text)
    }
}

/// What a copy costs: a long text repeated by many aliases is a bomb as well.
fn weight(node: &Node) -> usize {
    const BYTES_PER_NODE: usize = 64;
    1 + match &node.value {
        Value::Null | Value::Number(_) | Value::Truth(_) => 0,
        Value::Scalar(text) | Value::Text(text) => text.len() / BYTES_PER_NODE,
        Value::Sequence(items) => items.iter().map(weight).sum(),
        Value::Mapping(entries) => entries.iter().map(|entry| weight(&entry.value)).sum(),
    }
}

fn refuse_tag(has_tag: bool, at: Marker) -> Result<(), Malformed> {
    if has_tag {
        return Err(malformed(
            at,
            "tags (!name) are not supported: quote a text that starts with !",
        ));
    }
    Ok(())
}

fn malformed(at: Marker, message: impl Into<String>) -> Malformed {
    Malformed {
        message: message.into(),
        line: at.line(),
        column: at.col() + 1,
    }
}

fn not_utf8(bytes: &[u8]) -> impl FnOnce(std::str::Utf8Error) -> Malformed {
    |error| {
        let before = &bytes[..error.valid_up_to()];
        let line_start = before
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |n| n + 1);
        Malformed {
            message: "expected UTF-8 text".to_owned(),
            line: 1 + before.iter().filter(|&&b| b == b'\n').count(),
            column: 1 + String::from_utf8_lossy(&before[line_start..])
                .chars()
                .count(),
        }
    }
}
