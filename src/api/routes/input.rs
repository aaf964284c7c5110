//! Reading requests: small JSON bodies, path segments, query values; every bad field by name.

use serde_json::{Map, Value};

use crate::api::errors::ApiError;
use crate::config::error::FieldError;
use crate::http::request::Request;
use crate::http::status::Status;
use crate::model::ids::InvalidId;

/// A JSON body that only says what to do; nobody needs more.
pub const SMALL_BODY_BYTES: usize = 64 << 10;

/// A JSON object whose fields are taken one by one; what is left over is unknown.
pub struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// From a body; an empty one is an empty object.
    ///
    /// # Errors
    /// 400 for what is no JSON, 422 for JSON that is no object.
    pub fn parse(body: &[u8]) -> Result<Fields, ApiError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Fields::of(Map::new()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => Ok(Fields::of(object)),
            Ok(_) => Err(ApiError::invalid(vec![field_error(
                "body",
                "expected a JSON object".to_owned(),
            )])),
            Err(error) => Err(ApiError::new(
                Status::BadRequest,
                "malformed_json",
                error.to_string(),
                "send a JSON object",
            )),
        }
    }

    fn of(object: Map<String, Value>) -> Fields {
        Fields {
            object,
            errors: Vec::new(),
        }
    }

    /// Takes a field; `read` turns its value into what is wanted, or says what was expected.
    pub fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        match self.object.remove(name)? {
            Value::Null => None,
            value => match read(value) {
                Ok(value) => Some(value),
                Err(message) => {
                    self.refuse(name, message);
                    None
                }
            },
        }
    }

    /// Takes a field that has to be there.
    pub fn require<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        let errors = self.errors.len();
        let value = self.take(name, read);
        if value.is_none() && self.errors.len() == errors {
            self.refuse(name, "is missing".to_owned());
        }
        value
    }

    /// Notes what is wrong with a field.
    pub fn refuse(&mut self, name: &str, message: String) {
        self.errors.push(field_error(name, message));
    }

    /// Once everything known is taken.
    ///
    /// # Errors
    /// 422 with every bad and every unknown field.
    pub fn finish(mut self) -> Result<(), ApiError> {
        let unknown: Vec<_> = self.object.keys().cloned().collect();
        for name in unknown {
            let shown: String = name.chars().take(100).collect();
            self.refuse(&shown, "is not known here".to_owned());
        }
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(ApiError::invalid(self.errors))
    }
}

/// Reads a small JSON body.
///
/// # Errors
/// The body's; 400; 422.
pub fn small_fields(request: &mut Request<'_>) -> Result<Fields, ApiError> {
    Fields::parse(&request.body().read_to_vec(SMALL_BODY_BYTES)?)
}

/// A text.
///
/// # Errors
/// What was expected.
pub fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(format!("expected a text, found {}", kind(&other))),
    }
}

/// `true` or `false`.
///
/// # Errors
/// What was expected.
pub fn flag(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| format!("expected true or false, found {}", kind(value)))
}

/// What a JSON value is, without its content.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A name or id from the path.
///
/// # Errors
/// 422 with the rule that it breaks.
pub fn id<T>(params: &[String], read: fn(&str) -> Result<T, InvalidId>) -> Result<T, ApiError> {
    let segment = params.first().map_or("", String::as_str);
    read(segment).map_err(|error| ApiError::bad_id(&error))
}

/// The value of a query key that may stand once.
///
/// # Errors
/// 422 when it stands more than once.
pub fn query<'r>(request: &'r Request<'_>, key: &'static str) -> Result<Option<&'r str>, ApiError> {
    let mut values = request.query_all(key);
    let first = values.next();
    if values.next().is_some() {
        return Err(bad_query(key, "stands more than once".to_owned()));
    }
    Ok(first)
}

/// A whole number from the query.
///
/// # Errors
/// 422.
pub fn query_number(request: &Request<'_>, key: &'static str) -> Result<Option<u64>, ApiError> {
    query(request, key)?
        .map(|text| {
            text.parse()
                .map_err(|_| bad_query(key, "expected a whole number from 0".to_owned()))
        })
        .transpose()
}

/// Refuses query keys that the route does not know: a misspelt filter must not list everything.
///
/// # Errors
/// 422 naming each.
pub fn only_query_keys(request: &Request<'_>, known: &[&str]) -> Result<(), ApiError> {
    let unknown: Vec<_> = request
        .query()
        .iter()
        .filter(|(key, _)| !known.contains(&key.as_str()))
        .map(|(key, _)| {
            let shown: String = key.chars().take(100).collect();
            field_error(
                &shown,
                format!("is not known here; known are: {}", known.join(", ")),
            )
        })
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(unknown))
}

/// 422 about one query value or header.
pub fn bad_query(key: &str, message: String) -> ApiError {
    ApiError::invalid(vec![field_error(key, message)])
}

fn field_error(field: &str, message: String) -> FieldError {
    FieldError {
        field: field.to_owned(),
        message,
        line: 0,
        column: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_and_unknown_field_is_named_at_once() {
        let mut fields = Fields::parse(br#"{"a": 1, "b": "x", "zz": 1}"#).expect("object");
        assert_eq!(fields.take("a", text), None);
        assert_eq!(fields.take("b", text).as_deref(), Some("x"));
        assert_eq!(fields.require("c", text), None);
        let error = fields.finish().expect_err("invalid");
        let body = error
            .into_response()
            .body_bytes()
            .map(<[u8]>::to_vec)
            .expect("body");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let named: Vec<_> = body["error"]["fields"]
            .as_array()
            .expect("fields")
            .iter()
            .map(|field| field["field"].as_str().expect("name").to_owned())
            .collect();
        assert_eq!(named, ["a", "c", "zz"]);
    }

    #[test]
    fn an_empty_body_is_an_empty_object_and_a_list_is_none() {
        assert!(Fields::parse(b" \n").expect("empty").finish().is_ok());
        assert!(Fields::parse(b"[]").is_err());
        assert!(Fields::parse(b"{").is_err());
    }
}
