//! A store that does not take it, or does not answer.

use super::api_error::ApiError;
use crate::base::causes::with_causes;
use crate::http::status::Status;
use crate::store::StoreError;

/// `whole` is the error of the service: it says what was asked, and `cause` what the store made of it.
pub(super) fn of_store(cause: &StoreError, whole: &dyn std::error::Error) -> ApiError {
    match cause {
        StoreError::FunctionNotFound { .. } => ApiError::new(
            Status::NotFound,
            "function_not_found",
            cause.to_string(),
            "register it first with PUT /functions",
        ),
        StoreError::VersionNotKept { .. } => ApiError::new(
            Status::NotFound,
            "version_not_found",
            cause.to_string(),
            "see GET /functions/{name}/versions",
        ),
        StoreError::Conflict { .. } => ApiError::new(
            Status::Conflict,
            "conflict",
            cause.to_string(),
            "somebody else changed it at the same time; look and try again",
        ),
        StoreError::LimitReached { .. } => ApiError::new(
            Status::ServiceUnavailable,
            "limit_reached",
            cause.to_string(),
            "wait until older ones have expired",
        )
        .retry(),
        StoreError::Full { .. } => {
            log::error!("{}", with_causes(whole));
            ApiError::new(
                Status::ServiceUnavailable,
                "store_full",
                format!("{whole}: the store is full"),
                "free space on the disk of state_dir",
            )
            .retry()
        }
        StoreError::Unavailable { .. }
        | StoreError::ArchiveMissing { .. }
        | StoreError::ArchiveMismatch { .. }
        | StoreError::Corrupt(_) => {
            log::error!("{}", with_causes(whole));
            ApiError::new(
                Status::ServiceUnavailable,
                "store_unavailable",
                format!("{whole}: the store does not answer as it should"),
                "the control plane's log tells why",
            )
            .retry()
        }
    }
}
