//! The control plane itself: it is not ready, or makes no machines.

use super::api_error::ApiError;
use super::store::of_store;
use crate::control::machines::NoProvider;
use crate::control::plane::NotReady;
use crate::http::status::Status;

impl From<NoProvider> for ApiError {
    fn from(error: NoProvider) -> ApiError {
        ApiError::new(
            Status::ServiceUnavailable,
            "no_provider",
            error.to_string(),
            "this version makes no machines; register agents with POST /agents/register",
        )
    }
}

impl From<NotReady> for ApiError {
    fn from(error: NotReady) -> ApiError {
        match error {
            NotReady::ShuttingDown => ApiError::shutting_down(),
            NotReady::Store(ref cause) => of_store(cause, &error),
        }
    }
}
