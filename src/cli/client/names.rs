//! Names and ids from the command line, checked before anything is sent: they go into paths.

use crate::cli::error::CliError;
use crate::model::ids::{AgentId, ExecutionId, FunctionName};

/// # Errors
/// The text is no name of a function.
pub(crate) fn function(text: &str) -> Result<FunctionName, CliError> {
    FunctionName::new(text).map_err(|error| CliError::usage(error.to_string(), ""))
}

/// # Errors
/// The text is no id of an execution.
pub(crate) fn execution(text: &str) -> Result<ExecutionId, CliError> {
    let hint = "`flux executions` lists them";
    ExecutionId::new(text).map_err(|error| CliError::usage(error.to_string(), hint))
}

/// # Errors
/// The text is no id of an agent.
pub(crate) fn agent(text: &str) -> Result<AgentId, CliError> {
    let hint = "`flux agents` lists them";
    AgentId::new(text).map_err(|error| CliError::usage(error.to_string(), hint))
}
