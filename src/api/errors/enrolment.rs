//! Certificates that agents do not get.

use super::api_error::ApiError;
use super::store::of_store;
use crate::control::enrolment::EnrolmentError;
use crate::http::status::Status;

impl From<EnrolmentError> for ApiError {
    fn from(error: EnrolmentError) -> ApiError {
        match error {
            EnrolmentError::PkiDisabled => ApiError::new(
                Status::Conflict,
                "pki_disabled",
                error.to_string(),
                "remove disable_grpc_tls from flux.yaml to enrol agents",
            ),
            EnrolmentError::Pki(_) => ApiError::internal(&error, "pki_failed"),
            EnrolmentError::Unsound(_) | EnrolmentError::TokenRefused => ApiError::new(
                Status::Unauthorized,
                "token_refused",
                error.to_string(),
                "make a fresh token with: flux agent enroll ID",
            ),
            EnrolmentError::Store(ref cause) => of_store(cause, &error),
        }
    }
}
