//! One JSON document of the API as this program reads it, together with the JSON that came.
//!
//! The value is what commands work with; the JSON is what `--json` passes on, with everything that a
//! newer control plane says and this program does not know. Both are made while the answer is read,
//! so a document may also stand inside of another one or in a list.

use std::fmt;
use std::ops::Deref;

use serde::de::{DeserializeOwned, Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

/// A `T`, and the JSON that it was read from. Writes the JSON, and shows only the `T` in `Debug`,
/// because that one knows what is a secret.
#[derive(Clone, PartialEq)]
pub(crate) struct Document<T> {
    value: T,
    json: Value,
}

impl<T> Document<T> {
    /// The keys and values of a JSON object, in alphabetical order; none of anything else.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        self.json.as_object().cloned().unwrap_or_default()
    }
}

impl<T> Deref for Document<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Document<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Document<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Document<T>, D::Error> {
        let json = Value::deserialize(deserializer)?;
        let value = T::deserialize(&json).map_err(D::Error::custom)?;
        Ok(Document { value, json })
    }
}

impl<T> Serialize for Document<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::agent::Enrolled;
    use crate::contract::machine::State;

    #[test]
    fn a_document_is_read_as_its_type_and_written_as_it_came() {
        let text = r#"[{"news":[1.5,null],"status":"ready"}]"#;
        let documents: Vec<Document<State>> = serde_json::from_str(text).expect("documents");
        assert_eq!(documents[0].status, "ready");
        assert_eq!(serde_json::to_string(&documents).expect("JSON"), text);
    }

    #[test]
    fn what_does_not_fit_the_type_is_no_document() {
        for text in [r#"{"state":"ready"}"#, r#"{"status":1}"#, "null"] {
            let read = serde_json::from_str::<Document<State>>(text);
            assert!(read.expect_err(text).is_data(), "{text}");
        }
    }

    #[test]
    fn a_secret_that_its_type_hides_is_hidden_in_the_document() {
        let text = r#"{"agent_id":"a","token":"s3cret","expires_at":"soon"}"#;
        let document: Document<Enrolled> = serde_json::from_str(text).expect("a document");
        assert!(!format!("{document:?}").contains("s3cret"), "{document:?}");
        assert_eq!(document.token, "s3cret");
    }
}
