//! Reading requests: JSON bodies, path segments, query values; every bad field by name.

use crate::api::errors::ApiError;
use crate::config::document::{Node, Value};
use crate::config::error::FieldError;
use crate::config::json;
use crate::config::section::Section;
use crate::http::request::Request;
use crate::http::status::Status;
use crate::model::ids::InvalidId;

/// A JSON body that only says what to do; nobody needs more.
pub(crate) const SMALL_BODY_BYTES: usize = 64 << 10;

/// Reads a JSON object of at most `limit` bytes by its fields; an empty body is an empty object.
/// `read` gives nothing only after it has noted why.
///
/// # Errors
/// The body's; 400 for what is no JSON; 422 with every bad and every unknown field.
pub(crate) fn fields<T>(
    request: &mut Request<'_>,
    limit: usize,
    read: impl FnOnce(&mut Section<'_>) -> Option<T>,
) -> Result<T, ApiError> {
    let body = request.body().read_to_vec(limit)?;
    object(&body)?
        .read(|mut section| {
            let value = read(&mut section);
            section.finish();
            value
        })
        .map_err(ApiError::invalid)
}

fn object(body: &[u8]) -> Result<Node, ApiError> {
    let root = json::parse(body).map_err(|malformed| {
        ApiError::new(
            Status::BadRequest,
            "malformed_json",
            malformed.to_string(),
            "send a JSON object",
        )
    })?;
    match root.value {
        Value::Null | Value::Mapping(_) => Ok(root),
        Value::Scalar(_)
        | Value::Text(_)
        | Value::Number(_)
        | Value::Truth(_)
        | Value::Sequence(_) => {
            let message = format!("expected a JSON object, found {}", root.kind());
            Err(bad_value("body", message))
        }
    }
}

/// A name or id from the path.
///
/// # Errors
/// 422 with the rule that it breaks.
pub(crate) fn id<T>(
    params: &[String],
    read: fn(&str) -> Result<T, InvalidId>,
) -> Result<T, ApiError> {
    let segment = params.first().map_or("", String::as_str);
    read(segment).map_err(|error| ApiError::from(&error))
}

/// The value of a query key that may stand once.
///
/// # Errors
/// 422 when it stands more than once.
pub(crate) fn query<'r>(
    request: &'r Request<'_>,
    key: &'static str,
) -> Result<Option<&'r str>, ApiError> {
    let mut values = request.query_all(key);
    let first = values.next();
    if values.next().is_some() {
        return Err(bad_value(key, "stands more than once".to_owned()));
    }
    Ok(first)
}

/// A whole number from the query.
///
/// # Errors
/// 422.
pub(crate) fn query_number(
    request: &Request<'_>,
    key: &'static str,
) -> Result<Option<u64>, ApiError> {
    query(request, key)?
        .map(|text| {
            text.parse()
                .map_err(|_| bad_value(key, "expected a whole number from 0".to_owned()))
        })
        .transpose()
}

/// Refuses query keys that the route does not know: a misspelt filter must not list everything.
///
/// # Errors
/// 422 naming each.
pub(crate) fn only_query_keys(request: &Request<'_>, known: &[&str]) -> Result<(), ApiError> {
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
pub(crate) fn bad_value(key: &str, message: String) -> ApiError {
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
    fn an_empty_body_is_an_empty_object_and_a_list_is_none() {
        assert!(object(b" \n").is_ok());
        assert!(object(b"{}").is_ok());
        for body in ["[]", "1", "true", "\"x\"", "{"] {
            assert!(object(body.as_bytes()).is_err(), "{body}");
        }
    }
}
