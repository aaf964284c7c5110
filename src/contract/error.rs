//! The one shape of errors.

use serde::{Deserialize, Serialize};

use super::null::null_as_default;

/// The body of every answer that is an error of Flux.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErrorBody {
    pub error: ErrorDetails,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorDetails {
    /// Stable, for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// What to do about it, for people.
    pub hint: String,
    /// Every bad field of the request.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub fields: Vec<BadField>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BadField {
    /// Its path, such as `resources.memory`.
    pub field: String,
    pub message: String,
}
