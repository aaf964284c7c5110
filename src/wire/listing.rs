//! Which of an agent's records a control plane wants to see.

use super::ending::status;
use super::ends::{mark_from_proto, mark_to_proto};
use super::error::WireError;
use super::number::{count_u32, out_i32};
use super::proto;
use crate::model::ends::Mark;
use crate::model::execution::Status;
use crate::model::ids::{ExecutionId, FunctionName};

/// Which records are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecutionQuery {
    /// Only those of this function.
    pub function: Option<FunctionName>,
    /// Only those in this status.
    pub status: Option<Status>,
    /// At the most; 0 leaves it to the agent.
    pub limit: u32,
    /// Only ids that sort before this one.
    pub before: Option<ExecutionId>,
    /// Only what runs, and what ended after this.
    pub ended_after: Option<Mark>,
}

/// Encodes it for an agent.
pub(crate) fn list_to_proto(query: &ExecutionQuery) -> proto::ListExecutionsRequest {
    proto::ListExecutionsRequest {
        function_name: query
            .function
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        status: query.status.map_or("", Status::as_str).to_owned(),
        limit: out_i32(query.limit),
        before: query
            .before
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        ended_after: query.ended_after.as_ref().map(mark_to_proto),
    }
}

/// From a control plane.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn list_from_proto(
    message: &proto::ListExecutionsRequest,
) -> Result<ExecutionQuery, WireError> {
    let status = match message.status.as_str() {
        "" => None,
        text => Some(status(text)?),
    };
    Ok(ExecutionQuery {
        function: optional(&message.function_name, FunctionName::new)?,
        status,
        limit: count_u32("limit", message.limit)?,
        before: optional(&message.before, ExecutionId::new)?,
        ended_after: message
            .ended_after
            .clone()
            .map(mark_from_proto)
            .transpose()?,
    })
}

fn optional<T, E: Into<WireError>>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, WireError> {
    if text.is_empty() {
        return Ok(None);
    }
    parse(text).map(Some).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_queries_survive_the_wire() {
        for query in [
            ExecutionQuery::default(),
            ExecutionQuery {
                function: Some(FunctionName::new("f").expect("name")),
                status: Some(Status::Failed),
                limit: 5,
                before: Some(ExecutionId::new("e").expect("id")),
                ended_after: Some(Mark {
                    boot_id: "b".to_owned(),
                    sequence: 4,
                }),
            },
        ] {
            assert_eq!(
                list_from_proto(&list_to_proto(&query)).expect("valid"),
                query
            );
        }
    }
}
