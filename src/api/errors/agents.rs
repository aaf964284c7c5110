//! Agents that cannot be registered, drained or removed.

use super::api_error::ApiError;
use super::store::of_store;
use crate::base::causes::with_causes;
use crate::control::agents::AgentError;
use crate::control::fleet::FleetError;
use crate::http::status::Status;

impl From<AgentError> for ApiError {
    fn from(error: AgentError) -> ApiError {
        match error {
            AgentError::Fleet(error) => (&error).into(),
            AgentError::BadAddress { .. } => ApiError::new(
                Status::UnprocessableContent,
                "invalid_address",
                error.to_string(),
                "give the agent's address as host:port",
            ),
            AgentError::Unidentified { .. } => ApiError::new(
                Status::BadGateway,
                "agent_unreachable",
                with_causes(&error),
                "check that flux-agent runs there, that its certificate is of this fleet, and that tls is set alike on both sides",
            ),
        }
    }
}

impl From<&FleetError> for ApiError {
    fn from(error: &FleetError) -> ApiError {
        match error {
            FleetError::UnknownAgent(_) => ApiError::new(
                Status::NotFound,
                "agent_not_found",
                error.to_string(),
                "see GET /agents",
            ),
            FleetError::AddressConflict { .. } => ApiError::new(
                Status::Conflict,
                "agent_conflict",
                error.to_string(),
                "remove it first with DELETE /agents/{id}, or give the new agent another id",
            ),
            FleetError::Illegal(_) => ApiError::new(
                Status::Conflict,
                "illegal_transition",
                error.to_string(),
                "see GET /agents",
            ),
            FleetError::Store(cause) => of_store(cause, error),
        }
    }
}
