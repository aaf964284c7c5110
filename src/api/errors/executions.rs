//! Executions that cannot be read or ended.

use super::api_error::ApiError;
use super::store::of_store;
use crate::base::causes::with_causes;
use crate::control::executions::ExecutionError;
use crate::http::status::Status;

impl From<ExecutionError> for ApiError {
    fn from(error: ExecutionError) -> ApiError {
        match error {
            ExecutionError::NotFound(_) => ApiError::new(
                Status::NotFound,
                "execution_not_found",
                error.to_string(),
                "records are kept for a limited time after the end",
            ),
            ExecutionError::Ended { .. } => ApiError::new(
                Status::Conflict,
                "execution_ended",
                error.to_string(),
                "only a running execution can be cancelled",
            ),
            ExecutionError::AgentUnreachable { .. } => {
                log::warn!("{}", with_causes(&error));
                ApiError::new(
                    Status::ServiceUnavailable,
                    "agent_unreachable",
                    with_causes(&error),
                    "the execution's agent cannot be asked now; try again",
                )
                .retry()
            }
            ExecutionError::CancelUnconfirmed { .. } => ApiError::new(
                Status::ServiceUnavailable,
                "cancel_unconfirmed",
                error.to_string(),
                "it was told to stop; try again to have its end confirmed",
            )
            .retry(),
            ExecutionError::Store(ref cause) => of_store(cause, &error),
        }
    }
}
