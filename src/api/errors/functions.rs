//! Functions and versions that are not there, and archives that are refused.

use super::api_error::ApiError;
use super::store::of_store;
use crate::archive::ArchiveError;
use crate::base::causes::with_causes;
use crate::control::desired::FunctionError;
use crate::http::status::Status;

impl From<FunctionError> for ApiError {
    fn from(error: FunctionError) -> ApiError {
        match error {
            FunctionError::NotFound(_) => ApiError::new(
                Status::NotFound,
                "function_not_found",
                error.to_string(),
                "register it first with PUT /functions",
            ),
            FunctionError::NoVersion { .. } => ApiError::new(
                Status::NotFound,
                "version_not_found",
                error.to_string(),
                "see GET /functions/{name}/versions",
            ),
            FunctionError::NoEarlierVersion(_) => ApiError::new(
                Status::Conflict,
                "no_earlier_version",
                error.to_string(),
                "see GET /functions/{name}/versions",
            ),
            FunctionError::HandlerMissing { .. } => ApiError::new(
                Status::UnprocessableContent,
                "handler_missing",
                error.to_string(),
                "put the handler into the archive at exactly that path, or register the function with another handler",
            ),
            FunctionError::TooMany => ApiError::new(
                Status::Conflict,
                "too_many_functions",
                error.to_string(),
                "delete functions that are not needed any more",
            ),
            FunctionError::Archive(error) => (&error).into(),
            FunctionError::Store(ref cause) => of_store(cause, &error),
        }
    }
}

impl From<&ArchiveError> for ApiError {
    fn from(error: &ArchiveError) -> ApiError {
        if error.is_refusal() {
            return ApiError::new(
                Status::UnprocessableContent,
                error.code(),
                with_causes(error),
                "make the archive again without it",
            );
        }
        ApiError::internal(error, "archive_unreadable")
    }
}
