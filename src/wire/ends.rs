//! The ends that a control plane reads and keeps, and what becomes of executions that may have got
//! lost on their way.

use super::error::WireError;
use super::execution::{record_from_proto, record_to_proto};
use super::number::{count, count_u32, out, out_i32};
use super::output::{changes_to_proto, output_from_proto};
use super::proto;
use crate::base::clock::Timestamp;
use crate::model::ends::{Ended, EndedOutput, Ends, Mark, Settled};
use crate::model::execution::ExecutionRecord;
use crate::model::ids::{ExecutionId, FunctionName};

/// Which ends are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndsQuery {
    /// Those after this one; from the first when absent.
    pub after: Option<Mark>,
    /// At the most; 0 leaves it to the agent.
    pub limit: u32,
}

/// Which execution's fate is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleQuery {
    /// The id under which it was handed over.
    pub execution: ExecutionId,
    /// What it was to run.
    pub function: FunctionName,
    /// When it was handed over.
    pub accepted_at: Timestamp,
}

/// Either way.
pub(crate) fn mark_to_proto(mark: &Mark) -> proto::EndsMark {
    proto::EndsMark {
        boot_id: mark.boot_id.clone(),
        sequence: out(mark.sequence),
    }
}

/// Either way.
///
/// # Errors
/// A number below zero.
pub(crate) fn mark_from_proto(message: proto::EndsMark) -> Result<Mark, WireError> {
    Ok(Mark {
        sequence: count("sequence", message.sequence)?,
        boot_id: message.boot_id,
    })
}

/// Encodes it for an agent.
pub(crate) fn query_to_proto(query: &EndsQuery) -> proto::ReadEndsRequest {
    proto::ReadEndsRequest {
        after: query.after.as_ref().map(mark_to_proto),
        limit: out_i32(query.limit),
    }
}

/// From a control plane.
///
/// # Errors
/// A number below zero.
pub(crate) fn query_from_proto(message: proto::ReadEndsRequest) -> Result<EndsQuery, WireError> {
    Ok(EndsQuery {
        after: message.after.map(mark_from_proto).transpose()?,
        limit: count_u32("limit", message.limit)?,
    })
}

/// Encodes it for the control plane.
pub(crate) fn ends_to_proto(ends: Ends) -> proto::ReadEndsResponse {
    proto::ReadEndsResponse {
        mark: Some(mark_to_proto(&ends.mark)),
        ended: ends.ended.into_iter().map(ended_to_proto).collect(),
        more: ends.more,
    }
}

/// From an agent.
///
/// # Errors
/// The first field that breaks its rule; also a record without an ending.
pub(crate) fn ends_from_proto(message: proto::ReadEndsResponse) -> Result<Ends, WireError> {
    let mark = message.mark.ok_or(WireError::Missing { field: "mark" })?;
    Ok(Ends {
        mark: mark_from_proto(mark)?,
        ended: message
            .ended
            .into_iter()
            .map(ended_from_proto)
            .collect::<Result<_, _>>()?,
        more: message.more,
    })
}

/// Encodes it for an agent.
pub(crate) fn settle_to_proto(query: &SettleQuery) -> proto::SettleRequest {
    proto::SettleRequest {
        execution_id: query.execution.to_string(),
        function_name: query.function.to_string(),
        accepted_at_ms: query.accepted_at.as_millis(),
    }
}

/// From a control plane.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn settle_from_proto(message: &proto::SettleRequest) -> Result<SettleQuery, WireError> {
    Ok(SettleQuery {
        execution: ExecutionId::new(&message.execution_id)?,
        function: FunctionName::new(&message.function_name)?,
        accepted_at: Timestamp::from_millis(message.accepted_at_ms),
    })
}

/// Encodes it for the control plane.
pub(crate) fn settled_to_proto(settled: &Settled) -> proto::SettleResponse {
    let (outcome, record) = match settled {
        Settled::Running => (proto::SettleOutcome::Running, None),
        Settled::Ended(record) => (proto::SettleOutcome::Ended, Some(record_to_proto(record))),
        Settled::Forgotten => (proto::SettleOutcome::Forgotten, None),
    };
    proto::SettleResponse {
        outcome: outcome.into(),
        record,
    }
}

/// From an agent.
///
/// # Errors
/// An outcome that is none, an end without its record.
pub(crate) fn settled_from_proto(message: proto::SettleResponse) -> Result<Settled, WireError> {
    match proto::SettleOutcome::try_from(message.outcome).ok() {
        Some(proto::SettleOutcome::Running) => Ok(Settled::Running),
        Some(proto::SettleOutcome::Ended) => {
            let record = ended_record_from_proto(message.record)?;
            Ok(Settled::Ended(Box::new(record)))
        }
        Some(proto::SettleOutcome::Forgotten) => Ok(Settled::Forgotten),
        Some(proto::SettleOutcome::Unspecified) | None => Err(WireError::word(
            "outcome",
            &message.outcome.to_string(),
            "1, 2 or 3",
        )),
    }
}

fn ended_to_proto((sequence, ended): (u64, Ended)) -> proto::Ended {
    let record = Some(record_to_proto(&ended.record));
    let sequence = out(sequence);
    match ended.output {
        // Agents tell all or nothing.
        EndedOutput::Whole(output) | EndedOutput::Cut(output) => proto::Ended {
            record,
            sequence,
            output_changes: changes_to_proto(&output),
            output: output.bytes,
            output_at_agent: false,
        },
        EndedOutput::AtAgent => proto::Ended {
            record,
            sequence,
            output_at_agent: true,
            ..proto::Ended::default()
        },
    }
}

fn ended_from_proto(message: proto::Ended) -> Result<(u64, Ended), WireError> {
    let sequence = count("sequence", message.sequence)?;
    let ended = Ended {
        record: ended_record_from_proto(message.record)?,
        output: if message.output_at_agent {
            EndedOutput::AtAgent
        } else {
            EndedOutput::Whole(output_from_proto(message.output, message.output_changes)?)
        },
    };
    Ok((sequence, ended))
}

fn ended_record_from_proto(
    message: Option<proto::ExecutionRecord>,
) -> Result<ExecutionRecord, WireError> {
    let missing = |field| WireError::Missing { field };
    let record = record_from_proto(message.ok_or_else(|| missing("record"))?)?;
    if record.ending.is_none() {
        return Err(missing("the record's ending"));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::super::execution::tests::record;
    use super::*;
    use crate::model::execution::Ending;
    use crate::model::output::{Output, Segments};

    fn mark() -> Mark {
        Mark {
            boot_id: "b1".to_owned(),
            sequence: 7,
        }
    }

    fn ended(sequence: u64, output: EndedOutput) -> (u64, Ended) {
        let record = record(Some(Ending::Exited(0)));
        (sequence, Ended { record, output })
    }

    #[test]
    fn ends_survive_the_wire() {
        let output = Output {
            bytes: b"outerr".to_vec(),
            segments: Segments::from_starts(vec![3], 6).expect("starts"),
        };
        let ends = Ends {
            mark: mark(),
            ended: vec![
                ended(6, EndedOutput::Whole(output)),
                ended(7, EndedOutput::AtAgent),
            ],
            more: true,
        };
        let back = ends_from_proto(ends_to_proto(ends.clone())).expect("valid");
        assert_eq!(back, ends);
    }

    #[test]
    fn an_end_without_an_ending_is_refused() {
        let mut message = ends_to_proto(Ends {
            mark: mark(),
            ended: vec![ended(1, EndedOutput::AtAgent)],
            more: false,
        });
        message.ended[0].record = Some(record_to_proto(&record(None)));
        assert!(ends_from_proto(message.clone()).is_err());
        message.ended[0].record = None;
        assert!(ends_from_proto(message).is_err());
        assert!(ends_from_proto(proto::ReadEndsResponse::default()).is_err());
    }

    #[test]
    fn queries_and_what_was_settled_survive_the_wire() {
        for after in [None, Some(mark())] {
            let query = EndsQuery { after, limit: 3 };
            assert_eq!(
                query_from_proto(query_to_proto(&query)).expect("valid"),
                query
            );
        }
        let query = SettleQuery {
            execution: ExecutionId::new("e1").expect("id"),
            function: FunctionName::new("f").expect("name"),
            accepted_at: Timestamp::from_millis(5),
        };
        assert_eq!(
            settle_from_proto(&settle_to_proto(&query)).expect("valid"),
            query
        );
        for settled in [
            Settled::Running,
            Settled::Ended(Box::new(record(Some(Ending::Lost)))),
            Settled::Forgotten,
        ] {
            let back = settled_from_proto(settled_to_proto(&settled)).expect("valid");
            assert_eq!(back, settled);
        }
        assert!(settled_from_proto(proto::SettleResponse::default()).is_err());
    }
}
