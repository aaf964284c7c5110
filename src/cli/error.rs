//! What a command can fail with, and what the user is told to do about it.

use std::io;

use thiserror::Error;

use super::exit_code::ExitCode;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// The arguments make no sense together, or one of them makes none.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What would be right.
        hint: String,
    },
    /// No answer came.
    #[error("cannot reach {url}")]
    Unreachable {
        /// The control plane.
        url: String,
        /// The reason.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The API refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Something answered that is no Flux.
    #[error("{url} answered what Flux does not: {what}")]
    Protocol {
        /// The address that was asked.
        url: String,
        /// The answer, in short.
        what: String,
    },
    /// Whoever read stdout has gone; not worth a message.
    #[error("stdout is closed")]
    PipeClosed,
    /// Anything local: files, the terminal, signals.
    #[error(transparent)]
    Local(#[from] anyhow::Error),
    /// A connection to a live stream could not be had again in time.
    #[error("lost the contact to execution {execution_id}, which may go on without it")]
    LostContact {
        /// What was followed.
        execution_id: String,
    },
}

/// The API's one error shape.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} ({code}, HTTP {status})")]
pub struct ApiError {
    /// HTTP's status.
    pub status: u16,
    /// Such as `function_not_found`.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do; empty when the API does not say.
    pub hint: String,
}

impl CliError {
    /// A wrong command line.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> CliError {
        CliError::Usage {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// For writes to stdout: a closed pipe is an end, everything else a failure.
    pub fn stdout(error: io::Error) -> CliError {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return CliError::PipeClosed;
        }
        CliError::Local(anyhow::Error::new(error).context("write to stdout"))
    }

    /// Of every command but `exec`.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Usage { .. } => ExitCode::Usage,
            CliError::Unreachable { .. } | CliError::LostContact { .. } => ExitCode::Unreachable,
            CliError::Api(_) | CliError::Protocol { .. } | CliError::Local(_) => ExitCode::Failure,
            CliError::PipeClosed => ExitCode::PIPE_CLOSED,
        }
    }

    /// Of `exec`, whose other codes belong to the function.
    pub fn exec_exit_code(&self) -> ExitCode {
        match self {
            CliError::Usage { .. } => ExitCode::Usage,
            CliError::Api(error) if error.code == "function_not_found" => ExitCode::NotFound,
            CliError::Api(_)
            | CliError::Unreachable { .. }
            | CliError::Protocol { .. }
            | CliError::Local(_)
            | CliError::LostContact { .. } => ExitCode::FluxFailed,
            CliError::PipeClosed => ExitCode::PIPE_CLOSED,
        }
    }

    /// What to do about it; empty when nothing is known.
    pub fn hint(&self) -> String {
        match self {
            CliError::Usage { hint, .. } => hint.clone(),
            CliError::Unreachable { .. } => {
                "is it running? `flux status` asks it; --url or FLUX_URL name another".to_owned()
            }
            // The API's own hint is about headers.
            CliError::Api(error) if error.status == 401 => {
                "log in with `flux login URL`, or set FLUX_API_KEY or --api-key-file".to_owned()
            }
            CliError::Api(error) => error.hint.clone(),
            CliError::Protocol { .. } => "is that the address of a Flux control plane?".to_owned(),
            CliError::LostContact { execution_id } => {
                format!("look again with `flux logs {execution_id} --follow`")
            }
            CliError::PipeClosed | CliError::Local(_) => String::new(),
        }
    }
}
