//! How answers become bodies.

use serde::Serialize;

use crate::api::errors::ApiError;
use crate::base::causes::with_causes;
use crate::http::response::Response;
use crate::http::status::Status;

/// A JSON body.
///
/// # Errors
/// 500 when a value makes no JSON, which none of ours should.
pub(crate) fn json(status: Status, body: &impl Serialize) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(body).map_err(|error| {
        log::error!("an answer makes no JSON: {}", with_causes(&error));
        ApiError::new(
            Status::InternalServerError,
            "internal",
            "the answer could not be written",
            "the control plane's log tells more",
        )
    })?;
    Ok(Response::bytes(status, "application/json", body))
}
