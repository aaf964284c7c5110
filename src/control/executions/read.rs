//! The record of an execution, and its output.

use super::error::ExecutionError;
use super::locate::{Executions, Whereabouts, unreachable};
use crate::control::fleet::AgentView;
use crate::control::records::{KeptExecution, RecordsError};
use crate::model::ends::Settled;
use crate::model::execution::{Executed, ExecutionRecord};
use crate::model::ids::ExecutionId;
use crate::model::output::{Output, Stream, gather};
use crate::rpc::RpcError;
use crate::store::history::Wholeness;
use crate::store::{Route, StoreError};
use crate::wire::output::{OutputPiece, OutputQuery, Selection};

/// Bytes of output in one answer: an agent's whole default output in two.
const OUTPUT_PIECE_BYTES: u64 = 4 << 20;

impl Executions {
    /// The record with the output so far.
    ///
    /// # Errors
    /// Unknown, or its agent cannot be asked.
    pub(crate) fn get(&self, id: &ExecutionId) -> Result<Executed, ExecutionError> {
        match self.locate(id)? {
            Whereabouts::Kept(kept) => self.read_kept(&kept),
            Whereabouts::At {
                agent,
                route,
                running,
            } => match self.ask(&agent, id)? {
                Some(executed) => {
                    if executed.record.ending.is_some() {
                        // Its signal is on the way; whoever is told of the end may count on its slot.
                        self.fleet.vacate(&agent.agent.id, id);
                        self.contacts.records.keep_told([&executed.record]);
                    }
                    Ok(executed)
                }
                None => self.read_unknown(id, &agent, route.filter(|_| !running)),
            },
        }
    }

    /// A piece of its output from `offset` on, the total so far, and whether it has ended.
    ///
    /// # Errors
    /// As [`Executions::get`].
    pub(crate) fn read_output(
        &self,
        id: &ExecutionId,
        stream: Option<Stream>,
        offset: u64,
    ) -> Result<OutputPiece, ExecutionError> {
        let agent = match self.locate(id)? {
            Whereabouts::Kept(kept) if kept.output.wholeness != Wholeness::AtAgent => {
                return Ok(self.piece_of_kept(&kept, stream, offset)?);
            }
            Whereabouts::Kept(kept) => self.agent_of(&kept)?,
            Whereabouts::At { agent, .. } => *agent,
        };
        let client = self
            .contacts
            .links
            .client_to_ask(&agent.agent)
            .map_err(|error| unreachable(&agent.agent.id, error))?;
        let query = OutputQuery {
            execution: id.clone(),
            selection: stream.map_or(Selection::Merged, Selection::Only),
            offset,
            limit: OUTPUT_PIECE_BYTES,
        };
        match client.read_output(&query) {
            Ok(Some(piece)) => Ok(piece),
            // What it is then: kept by now, lost, or never known.
            Ok(None) | Err(RpcError::Unimplemented) => Ok(piece_of(&self.get(id)?, stream, offset)),
            Err(error) => Err(unreachable(&agent.agent.id, error)),
        }
    }

    /// With the output that is here; what is still at the agent is asked for there.
    fn read_kept(&self, kept: &KeptExecution) -> Result<Executed, ExecutionError> {
        if kept.output.wholeness == Wholeness::AtAgent {
            let agent = self.agent_of(kept)?;
            if let Some(executed) = self.ask(&agent, &kept.record.id)? {
                return Ok(Executed {
                    record: kept.record.clone(),
                    output: executed.output,
                });
            }
        }
        let history = self.contacts.records.history();
        let bytes = history.read_output(&kept.record.id, 0..kept.output.bytes)?;
        Ok(kept_execution(kept, bytes))
    }

    fn ask(&self, agent: &AgentView, id: &ExecutionId) -> Result<Option<Executed>, ExecutionError> {
        self.contacts
            .links
            .client_to_ask(&agent.agent)
            .and_then(|client| client.get_execution(id))
            .map_err(|error| unreachable(&agent.agent.id, error))
    }

    /// The agent that should have it does not know it. `route`: it was handed over, and no call is about
    /// it any more.
    fn read_unknown(
        &self,
        id: &ExecutionId,
        agent: &AgentView,
        route: Option<Route>,
    ) -> Result<Executed, ExecutionError> {
        // It may have come home and been forgotten there between the two questions.
        if let Some(kept) = self.contacts.records.find(id)? {
            return self.read_kept(&kept);
        }
        let Some(route) = route else {
            return Err(ExecutionError::NotFound(id.clone()));
        };
        let record = match self.settled(agent, &route)? {
            Settled::Ended(record) => {
                self.contacts.collector.ask(&agent.agent.id);
                *record
            }
            Settled::Running => ExecutionRecord::accepted(
                route.execution,
                route.agent,
                route.function,
                0,
                route.accepted_at,
            ),
            Settled::Forgotten => self.contacts.records.end_forgotten(&route)?,
        };
        Ok(Executed {
            record,
            output: Output::default(),
        })
    }

    fn settled(&self, agent: &AgentView, route: &Route) -> Result<Settled, ExecutionError> {
        let records = &self.contacts.records;
        if !records.still_stands(route)? {
            return match self.fleet.whereabouts(&route.execution) {
                Some(_) => Ok(Settled::Running),
                // It was turned down, and waits.
                None => Err(ExecutionError::NotFound(route.execution.clone())),
            };
        }
        let unreachable = |error| unreachable(&agent.agent.id, error);
        let client = self.contacts.links.client_to_ask(&agent.agent);
        let client = client.map_err(unreachable)?;
        let settled = records.settle(&client, route);
        settled.map_err(|error| match error {
            RecordsError::Agent(source) => unreachable(source),
            RecordsError::Store(source) => source.into(),
        })
    }

    pub(super) fn agent_of(&self, kept: &KeptExecution) -> Result<AgentView, ExecutionError> {
        let agent = &kept.record.agent;
        self.fleet
            .get(agent)
            .ok_or_else(|| unreachable(agent, RpcError::Unreachable))
    }

    fn piece_of_kept(
        &self,
        kept: &KeptExecution,
        stream: Option<Stream>,
        offset: u64,
    ) -> Result<OutputPiece, StoreError> {
        let (id, output) = (&kept.record.id, &kept.output);
        let end = offset.saturating_add(OUTPUT_PIECE_BYTES);
        let history = self.contacts.records.history();
        let (data, total) = match stream {
            None => (
                history.read_output(id, offset..end.min(output.bytes))?,
                output.bytes,
            ),
            Some(stream) => {
                let pieces = output.segments.pieces(stream, offset, end, output.bytes);
                let data = gather(&pieces, |start, end, into| {
                    into.append(&mut history.read_output(id, start..end)?);
                    Ok::<(), StoreError>(())
                })?;
                (data, output.segments.bytes_of(stream, output.bytes))
            }
        };
        Ok(OutputPiece {
            data,
            total,
            ended: true,
        })
    }
}

/// As it is shown with the `bytes` that are there: fewer than were kept where it is being forgotten.
fn kept_execution(kept: &KeptExecution, bytes: Vec<u8>) -> Executed {
    let mut record = kept.shown_record();
    record.truncated |= (bytes.len() as u64) < kept.output.bytes;
    let mut output = Output {
        bytes,
        segments: kept.output.segments.clone(),
    };
    output.truncate(output.bytes.len());
    Executed { record, output }
}

/// From a whole record, for an agent that gives no pieces.
fn piece_of(executed: &Executed, stream: Option<Stream>, offset: u64) -> OutputPiece {
    let Output { bytes, segments } = &executed.output;
    let length = bytes.len() as u64;
    let pieces = match stream {
        None => vec![(offset.min(length), length)],
        Some(stream) => segments.pieces(stream, offset, u64::MAX, length),
    };
    let data = pieces.iter().flat_map(|&(start, end)| {
        // Both lie in the bytes.
        let [start, end] = [start, end].map(|at| usize::try_from(at).unwrap_or(bytes.len()));
        bytes[start..end].iter().copied()
    });
    OutputPiece {
        data: data.collect(),
        total: stream.map_or(length, |stream| segments.bytes_of(stream, length)),
        ended: executed.record.ending.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::model::execution::Ending;
    use crate::model::ids::{AgentId, FunctionName};
    use crate::store::history::KeptOutput;

    #[test]
    fn an_output_of_which_less_is_there_than_was_kept_counts_as_truncated() {
        let accepted = ExecutionRecord::accepted(
            ExecutionId::new("e").expect("id"),
            AgentId::new("a").expect("id"),
            FunctionName::new("f").expect("name"),
            1,
            Timestamp::from_millis(0),
        );
        let output = Output::of_stdout(b"all".to_vec());
        let kept = KeptExecution {
            record: ExecutionRecord {
                ending: Some(Ending::Exited(0)),
                ..accepted
            },
            output: KeptOutput::whole(&output),
        };
        let whole = kept_execution(&kept, b"all".to_vec());
        assert_eq!((whole.record.truncated, whole.output), (false, output));
        let torn = kept_execution(&kept, b"a".to_vec());
        assert!(torn.record.truncated);
        assert_eq!(torn.output, Output::of_stdout(b"a".to_vec()));
    }
}
