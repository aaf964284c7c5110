//! Who may call: whoever shows the API key.

use super::errors::ApiError;
use crate::config::secret::Secret;
use crate::http::request::Request;
use crate::http::status::Status;
use crate::pki::constant_time_eq;

/// Accepts `X-API-Key: KEY` and `Authorization: Bearer KEY`.
///
/// # Errors
/// 401, the same whether a key is missing or wrong.
pub(crate) fn check(request: &Request<'_>, key: &Secret) -> Result<(), ApiError> {
    let header = request.header("x-api-key")?;
    let bearer = request.header("authorization")?.and_then(bearer_token);
    let accepted = header
        .into_iter()
        .chain(bearer)
        .any(|given| constant_time_eq(given.as_bytes(), key.expose().as_bytes()));
    if accepted {
        return Ok(());
    }
    Err(ApiError::new(
        Status::Unauthorized,
        "unauthorized",
        "the API key is missing or wrong",
        "send it as X-API-Key or as Authorization: Bearer",
    )
    .closing())
}

fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        assert_eq!(bearer_token("Bearer abc"), Some("abc"));
        assert_eq!(bearer_token("bearer  abc"), Some("abc"));
        assert_eq!(bearer_token("Basic abc"), None);
        assert_eq!(bearer_token("abc"), None);
    }
}
