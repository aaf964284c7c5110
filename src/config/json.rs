//! JSON text as a document.
//!
//! Not `serde_json::Value`, which keeps the last of two equal keys in silence.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::document::{Entry, MAX_DEPTH, MAX_NODES, Node, Value};
use super::error::Malformed;

/// Parses one document; an empty one is `Null`.
///
/// # Errors
/// What is no JSON, or too much of it, and where.
pub(crate) fn parse(bytes: &[u8]) -> Result<Node, Malformed> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(node(Value::Null));
    }
    let mut nodes = 0;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let seed = Seed {
        nodes: &mut nodes,
        depth: 0,
    };
    let root = seed
        .deserialize(&mut deserializer)
        .map_err(|error| malformed(&error))?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(root)
}

fn node(value: Value) -> Node {
    Node {
        value,
        line: 0,
        column: 0,
    }
}

fn malformed(error: &serde_json::Error) -> Malformed {
    let (line, column) = (error.line(), error.column());
    // Its text ends with the place, which is told apart from it.
    let text = error.to_string();
    let place = format!(" at line {line} column {column}");
    Malformed {
        message: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
        line,
        column,
    }
}

/// Reads one value, and everything in it.
struct Seed<'n> {
    nodes: &'n mut usize,
    depth: usize,
}

impl Seed<'_> {
    fn inner(&mut self) -> Seed<'_> {
        Seed {
            nodes: self.nodes,
            depth: self.depth + 1,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        *self.nodes += 1;
        if *self.nodes > MAX_NODES {
            return Err(D::Error::custom(format!("more than {MAX_NODES} values")));
        }
        if self.depth > MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(D::Error::custom(message));
        }
        deserializer.deserialize_any(self).map(node)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Truth(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner())? {
            read.push(item);
        }
        Ok(Value::Sequence(read))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                let message = format!("the key {key:?} stands here twice");
                return Err(A::Error::custom(message));
            }
            entries.push(Entry {
                key,
                line: 0,
                column: 0,
                value: map.next_value_seed(self.inner())?,
            });
        }
        Ok(Value::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Node {
        node(Value::Text(value.to_owned()))
    }

    #[test]
    fn every_kind_of_value_is_read_as_what_it_is() {
        let parsed = parse(br#" {"a": ["x", 1, -1.5, true, null], "b": {}} "#).expect("JSON");
        let Value::Mapping(entries) = parsed.value else {
            panic!("{parsed:?}");
        };
        assert_eq!(
            (entries[0].key.as_str(), entries[1].key.as_str()),
            ("a", "b")
        );
        let items = vec![
            text("x"),
            node(Value::Number("1".to_owned())),
            node(Value::Number("-1.5".to_owned())),
            node(Value::Truth(true)),
            node(Value::Null),
        ];
        assert_eq!(entries[0].value.value, Value::Sequence(items));
        assert_eq!(entries[1].value.value, Value::Mapping(Vec::new()));
        assert_eq!(parse(b" \n").expect("empty").value, Value::Null);
    }

    #[test]
    fn what_is_no_json_or_too_much_of_it_is_refused_with_its_place() {
        let many = format!("[{}0]", "0,".repeat(MAX_NODES));
        let deep = "[".repeat(MAX_DEPTH + 2);
        for (bytes, complaint) in [
            (r#"{"a": 1, "a": 2}"#, "twice"),
            (r#"{"a": "#, "EOF"),
            ("{} {}", "trailing"),
            ("\"\u{0}\"", "control character"),
            (many.as_str(), "more than"),
            (deep.as_str(), "deeper"),
        ] {
            let malformed = parse(bytes.as_bytes()).expect_err(complaint);
            assert!(malformed.message.contains(complaint), "{malformed:?}");
            assert!(malformed.line > 0, "{malformed:?}");
        }
        assert!(parse(b"\"\xff\"").is_err(), "no UTF-8");
    }
}
