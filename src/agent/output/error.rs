//! What can go wrong with recorded output.

use std::io;

use thiserror::Error;

use crate::model::ids::ExecutionId;

/// The spool files of one execution could not be used.
#[derive(Debug, Error)]
#[error("cannot {action} the output of {execution}")]
pub(crate) struct OutputError {
    /// `read`, `record` and so on.
    pub action: &'static str,
    pub execution: ExecutionId,
    /// The system's reason.
    #[source]
    pub source: io::Error,
}

impl OutputError {
    /// For `map_err`: names what was tried, and with which execution.
    pub(super) fn at<'a>(
        action: &'static str,
        execution: &'a ExecutionId,
    ) -> impl FnOnce(io::Error) -> OutputError + 'a {
        move |source| OutputError {
            action,
            execution: execution.clone(),
            source,
        }
    }
}
