//! Why a command fails, what the user is told to do about it, and the exit code for it.

use std::io;

use thiserror::Error;

use super::exit_code::ExitCode;
use crate::contract::error::{BadField, ErrorBody};

#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// An argument is wrong, or arguments do not go together; nothing was sent.
    #[error("{message}")]
    Usage {
        message: String,
        /// What would be right.
        hint: String,
    },
    /// No answer came.
    #[error("cannot reach {url}")]
    Unreachable {
        url: String,
        #[source]
        source: Box<ureq::Error>,
    },
    /// The API refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// An answer came that Flux would not have given.
    #[error("{url} does not answer as Flux does: {what}")]
    Protocol {
        url: String,
        /// The answer to what, and what it should have been.
        what: String,
    },
    /// Whoever read stdout has gone, which is not worth a message.
    #[error("stdout is closed")]
    PipeClosed,
    /// Something on this machine failed: a file, the terminal, signals.
    #[error(transparent)]
    Local(#[from] anyhow::Error),
    /// A live stream broke off and could not be taken up again in time.
    #[error("lost contact with execution {execution_id}, which may still be running")]
    LostContact { execution_id: String },
}

/// What the API refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} ({code}, HTTP {status})")]
pub(crate) struct ApiError {
    /// HTTP's.
    pub(crate) status: u16,
    /// Such as `function_not_found`.
    pub(crate) code: String,
    /// For people: a line, and one more for each bad field of the request.
    pub(crate) message: String,
    /// What to do about it; empty when the API does not say.
    pub(crate) hint: String,
}

/// Of an answer that is no error of Flux, shown to the user.
const SHOWN_CHARACTERS: usize = 200;

impl ApiError {
    /// From the answer's body. Whoever stands between here and the control plane may have given the
    /// answer: what is no error of Flux is shown as it is.
    pub(crate) fn read(status: u16, body: &[u8]) -> ApiError {
        let error = serde_json::from_slice::<ErrorBody>(body).map(|body| body.error);
        let mut error = error.unwrap_or_default();
        if error.code.is_empty() {
            error.code = "no_code".to_owned();
        }
        if error.message.is_empty() {
            let text = String::from_utf8_lossy(body);
            error.message = match text.trim() {
                "" => "the answer gives no reason".to_owned(),
                text => text.chars().take(SHOWN_CHARACTERS).collect(),
            };
        }
        for BadField { field, message } in &error.fields {
            error.message.push_str(&format!("\n  {field}: {message}"));
        }
        ApiError {
            status,
            code: error.code,
            message: error.message,
            hint: error.hint,
        }
    }
}

impl CliError {
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> CliError {
        CliError::Usage {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// For a failed write to stdout: a closed pipe is an ordinary end, everything else a failure.
    pub(crate) fn stdout(error: io::Error) -> CliError {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return CliError::PipeClosed;
        }
        CliError::Local(anyhow::Error::new(error).context("cannot write to stdout"))
    }

    /// The exit code of every command but `exec`.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Usage { .. } => ExitCode::Usage,
            CliError::Unreachable { .. } | CliError::LostContact { .. } => ExitCode::Unreachable,
            CliError::Api(_) | CliError::Protocol { .. } | CliError::Local(_) => ExitCode::Failure,
            CliError::PipeClosed => ExitCode::PIPE_CLOSED,
        }
    }

    /// For `exec`, whose other codes belong to the function.
    pub(crate) fn exec_exit_code(&self) -> ExitCode {
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

    /// What to do about it; empty where there is nothing to say.
    pub(crate) fn hint(&self) -> String {
        match self {
            CliError::Usage { hint, .. } => hint.clone(),
            CliError::Unreachable { .. } => {
                "is it running? --url or FLUX_URL name another one".to_owned()
            }
            // In place of the API's own hint, which is about headers.
            CliError::Api(error) if error.status == 401 => {
                "log in with `flux login URL`, or set FLUX_API_KEY or --api-key-file".to_owned()
            }
            CliError::Api(error) => error.hint.clone(),
            CliError::Protocol { .. } => "is that the address of a Flux control plane?".to_owned(),
            CliError::LostContact { execution_id } => {
                format!("follow it again with `flux logs {execution_id} --follow`")
            }
            CliError::PipeClosed | CliError::Local(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_whatever_sends_it() {
        let error = ApiError::read(
            422,
            br#"{"error":{"code":"invalid","message":"bad","hint":"fix it","fields":[{"field":"name","message":"is missing"}]}}"#,
        );
        assert_eq!(error.message, "bad\n  name: is missing");
        assert_eq!(
            (error.code.as_str(), error.hint.as_str()),
            ("invalid", "fix it")
        );
        let proxy = ApiError::read(502, b"<html>Bad gateway</html>");
        assert_eq!(
            proxy.to_string(),
            "<html>Bad gateway</html> (no_code, HTTP 502)"
        );
        let silent = ApiError::read(504, b"");
        assert_eq!(
            silent.to_string(),
            "the answer gives no reason (no_code, HTTP 504)"
        );
    }
}
