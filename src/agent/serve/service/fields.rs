//! Names in requests, and the refusal of a request with a field that breaks its rule.

use crate::agent::serve::worker_api::WorkerError;
use crate::model::ids::{ExecutionId, FunctionName};
use crate::wire::error::{ErrorKind, WireError};

pub(super) fn invalid(error: WireError) -> WorkerError {
    WorkerError::new(ErrorKind::Invalid, "the request").because(error)
}

pub(super) fn function_name(text: &str) -> Result<FunctionName, WorkerError> {
    FunctionName::new(text).map_err(|error| invalid(error.into()))
}

pub(super) fn execution_id(text: &str) -> Result<ExecutionId, WorkerError> {
    ExecutionId::new(text).map_err(|error| invalid(error.into()))
}
