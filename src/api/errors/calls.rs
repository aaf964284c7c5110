//! Calls that were not carried out: no key, no room, no agent that took them.

use super::api_error::ApiError;
use super::store::of_store;
use crate::control::calls::CallError;
use crate::control::dispatch::DispatchError;
use crate::control::fleet::WaitError;
use crate::http::status::Status;
use crate::policy::placement::NoRoom;

impl From<CallError> for ApiError {
    fn from(error: CallError) -> ApiError {
        match error {
            CallError::Dispatch(error) => (&error).into(),
            CallError::Execution(error) => error.into(),
            CallError::KeyReused => ApiError::new(
                Status::Conflict,
                "idempotency_key_reused",
                error.to_string(),
                "use a fresh key for a different call",
            ),
            CallError::KeyPending(_) => ApiError::new(
                Status::Conflict,
                "idempotency_pending",
                error.to_string(),
                "try again after it has ended, or read the execution",
            )
            .retry(),
            CallError::KeyUnsettled(_) => ApiError::new(
                Status::Conflict,
                "outcome_unknown",
                error.to_string(),
                "it may have run; use a fresh key to run it again",
            ),
            CallError::Store(ref cause) => of_store(cause, &error),
        }
    }
}

impl From<&DispatchError> for ApiError {
    fn from(error: &DispatchError) -> ApiError {
        match error {
            DispatchError::NoSlot(error) => error.into(),
            DispatchError::Invalid(_) => ApiError::new(
                Status::UnprocessableContent,
                "refused_by_agent",
                error.to_string(),
                "the agent's own limits are in its agent.yaml",
            ),
            DispatchError::NotTaken(_) => ApiError::new(
                Status::ServiceUnavailable,
                "not_taken",
                error.to_string(),
                "the agents are changing; try again",
            )
            .retry(),
            DispatchError::Unknown { execution, .. } => ApiError::new(
                Status::ServiceUnavailable,
                "outcome_unknown",
                error.to_string(),
                format!("ask GET /executions/{execution} before you send it again"),
            ),
            // Nobody reads it.
            DispatchError::ClientGone => ApiError::new(
                Status::ServiceUnavailable,
                "client_gone",
                error.to_string(),
                "",
            ),
            DispatchError::Store(cause) => of_store(cause, error),
        }
    }
}

impl From<&WaitError> for ApiError {
    fn from(error: &WaitError) -> ApiError {
        match error {
            WaitError::FunctionNotFound(_) => ApiError::new(
                Status::NotFound,
                "function_not_found",
                error.to_string(),
                "register it first with PUT /functions",
            ),
            WaitError::NotDeployed(name) => ApiError::new(
                Status::Conflict,
                "function_not_deployed",
                error.to_string(),
                format!("deploy it first with PUT /deploy/{name}"),
            ),
            WaitError::NoRoom(reason) => no_room(*reason, ""),
            WaitError::WaitedTooLong { reason, waited } => {
                let waited = format!(", also after waiting {} s", waited.as_secs());
                no_room(*reason, &waited)
            }
            WaitError::QueueFull { .. } => ApiError::new(
                Status::ServiceUnavailable,
                "queue_full",
                error.to_string(),
                "more calls wait already than may; try again later",
            )
            .retry(),
            WaitError::ClientGone => ApiError::new(
                Status::ServiceUnavailable,
                "client_gone",
                error.to_string(),
                "",
            ),
            WaitError::ShuttingDown => ApiError::shutting_down(),
        }
    }
}

/// `waited` ends the message of a call that has waited for room, and is empty for one that has not.
fn no_room(reason: NoRoom, waited: &str) -> ApiError {
    match reason {
        NoRoom::NoAgent => ApiError::new(
            Status::ServiceUnavailable,
            "no_agent",
            format!("no agent is online{waited}"),
            "register one with POST /agents/register; see GET /agents",
        ),
        NoRoom::NotIsolated => ApiError::new(
            Status::ServiceUnavailable,
            "not_isolated",
            format!("no online agent enforces the isolation that the function asks for{waited}"),
            "compare the function's isolation with isolation_missing in GET /agents",
        ),
        NoRoom::NotSynced => ApiError::new(
            Status::ServiceUnavailable,
            "not_synced",
            format!("no online agent holds the function's current code yet{waited}"),
            "try again shortly; GET /agents and the log tell what keeps them",
        ),
        NoRoom::AtCapacity => ApiError::new(
            Status::ServiceUnavailable,
            "at_capacity",
            format!("every agent runs as many executions of the function as it may{waited}"),
            "try again, raise max_concurrency, or set max_concurrency_behavior: wait",
        ),
        NoRoom::ResourcePressure => ApiError::new(
            Status::TooManyRequests,
            "resource_pressure",
            format!("no agent has the memory or CPU that the function asks for{waited}"),
            "try again, ask for less, or set resource_pressure_behavior: wait",
        ),
    }
    .retry()
}
