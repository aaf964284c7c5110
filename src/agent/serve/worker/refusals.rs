//! What failed in the agent, in the words of the protocol: one exhaustive match for each kind of error.

use crate::agent::functions::FunctionError;
use crate::agent::journal::JournalError;
use crate::agent::output::OutputError;
use crate::agent::run::admission::Refused;
use crate::agent::serve::worker_api::WorkerError;
use crate::model::ids::FunctionName;
use crate::wire::error::ErrorKind;

pub(super) fn refusal(refused: &Refused, function: &FunctionName) -> WorkerError {
    let kind = match refused {
        Refused::FunctionAtCapacity { .. } => ErrorKind::FunctionAtCapacity,
        Refused::AgentAtCapacity { .. } => ErrorKind::AgentAtCapacity,
        Refused::Draining => ErrorKind::Draining,
    };
    WorkerError::new(kind, function)
}

pub(super) fn output_error(error: OutputError) -> WorkerError {
    WorkerError::new(ErrorKind::Storage, error.execution.clone()).because(error)
}

pub(super) fn journal_error(error: JournalError) -> WorkerError {
    match &error {
        JournalError::Exists { id } => WorkerError::new(ErrorKind::ExecutionExists, id),
        JournalError::AlreadyEnded { .. }
        | JournalError::WrongStage { .. }
        | JournalError::Corrupt(_)
        | JournalError::Storage(_) => {
            WorkerError::new(ErrorKind::Storage, "the journal").because(error)
        }
    }
}

pub(super) fn function_error(function: &FunctionName, error: FunctionError) -> WorkerError {
    let kind = match &error {
        FunctionError::NotFound(_) => ErrorKind::FunctionNotFound,
        FunctionError::NoUserLeft(_) => ErrorKind::NoUserLeft,
        FunctionError::Release(error) if error.is_refusal() => ErrorKind::ArchiveRefused,
        FunctionError::Release(_) | FunctionError::Journal(_) => ErrorKind::Storage,
    };
    WorkerError::new(kind, function).because(error)
}
