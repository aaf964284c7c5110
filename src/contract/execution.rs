//! Calls, and what is told of executions beside their records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::null::null_as_default;
use super::record::Record;

/// The body of `POST /execute/{name}` and `POST /execute/{name}/async`; everything may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Execute {
    /// Arguments after the program's name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its standard input.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stdin: String,
    /// Added to the function's own environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// The answer to `POST /execute/{name}/async`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    /// `accepted`.
    pub status: String,
    /// Under which it is found.
    pub execution_id: String,
}

/// The answer to `DELETE /executions/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cancelled {
    /// `cancelled`.
    pub status: String,
    pub execution_id: String,
}

/// The answer to `GET /executions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    /// Newest first, without their output.
    #[serde(default, deserialize_with = "null_as_default")]
    pub executions: Vec<Record>,
    /// Pass it as `cursor` for the next page; null at the end.
    pub next_cursor: Option<String>,
    /// Agents whose running executions are missing here.
    #[serde(default, deserialize_with = "null_as_default")]
    pub unreachable_agents: Vec<String>,
}

/// The data of an `output` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputChunk {
    /// `stdout` or `stderr`.
    pub stream: String,
    /// Of its first byte in both streams together.
    pub offset: u64,
    /// Of its first byte in its own stream.
    #[serde(default)]
    pub stream_offset: u64,
    /// The bytes; empty from whoever sends them as `data` alone.
    #[serde(default)]
    pub data_base64: String,
    /// The same as text; left out where the bytes are no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}
