//! Requests that are refused before any service sees them.

use super::api_error::ApiError;
use crate::base::causes::with_causes;
use crate::http::body::BodyError;
use crate::http::parse::Repeated;
use crate::http::status::Status;
use crate::model::ids::InvalidId;

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> ApiError {
        let (code, hint) = match &error {
            BodyError::TooLarge { .. } => (
                "body_too_large",
                "send less, or raise the limit in flux.yaml",
            ),
            BodyError::Timeout => ("body_timeout", "send the body faster, or in smaller parts"),
            BodyError::Truncated | BodyError::Disconnected(_) => {
                ("body_truncated", "send the whole body")
            }
            BodyError::Malformed(_) => ("body_malformed", "the chunked coding is broken"),
            BodyError::Destination(_) | BodyError::AlreadyRead => {
                log::error!("{}", with_causes(&error));
                (
                    "body_not_stored",
                    "the control plane's log tells more; its disk may be full",
                )
            }
        };
        ApiError::new(error.status(), code, with_causes(&error), hint).closing()
    }
}

impl From<Repeated> for ApiError {
    fn from(error: Repeated) -> ApiError {
        ApiError::new(
            Status::BadRequest,
            "repeated_header",
            error.to_string(),
            "send the header once",
        )
    }
}

/// A path segment or query value that is no valid name.
impl From<&InvalidId> for ApiError {
    fn from(error: &InvalidId) -> ApiError {
        ApiError::new(
            Status::UnprocessableContent,
            "invalid_name",
            error.to_string(),
            "names are lowercase; see the API's documentation",
        )
    }
}
