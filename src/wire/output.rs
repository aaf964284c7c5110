//! Pieces of output, live and recorded.

use super::error::WireError;
use super::execution::{record_from_proto, record_to_proto};
use super::number::{count, out};
use super::proto;
use crate::model::execution::ExecutionRecord;
use crate::model::ids::ExecutionId;
use crate::model::output::{Output, OutputChunk, Segments, Stream};

/// Which recorded output is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Selection {
    /// Both streams, in the order they were written.
    Merged,
    /// The bytes of one stream, with the other's left out.
    Only(Stream),
}

/// One thing that happens to a followed execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowEvent {
    /// A piece of what it wrote, of one stream.
    Output(OutputChunk),
    /// It ended; nothing follows.
    Ended(Box<ExecutionRecord>),
}

/// Which piece of recorded output is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputQuery {
    /// Running or ended.
    pub execution: ExecutionId,
    /// The stream, or both in the order of their arrival.
    pub selection: Selection,
    /// First byte, counted in the selection.
    pub offset: u64,
    /// Bytes at the most; 0 leaves it to the agent.
    pub limit: u64,
}

/// A piece of recorded output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPiece {
    /// From the asked offset on.
    pub data: Vec<u8>,
    /// Bytes recorded of the selection so far.
    pub total: u64,
    /// Whether no more can come.
    pub ended: bool,
}

/// Encodes it for the control plane.
pub(crate) fn event_to_proto(event: FollowEvent) -> proto::FollowEvent {
    let event = match event {
        FollowEvent::Output(chunk) => proto::follow_event::Event::Output(chunk_to_proto(chunk)),
        FollowEvent::Ended(record) => proto::follow_event::Event::Ended(record_to_proto(&record)),
    };
    proto::FollowEvent { event: Some(event) }
}

/// From an agent.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn event_from_proto(message: proto::FollowEvent) -> Result<FollowEvent, WireError> {
    match message.event {
        Some(proto::follow_event::Event::Output(chunk)) => {
            chunk_from_proto(chunk).map(FollowEvent::Output)
        }
        Some(proto::follow_event::Event::Ended(record)) => {
            record_from_proto(record).map(|record| FollowEvent::Ended(Box::new(record)))
        }
        None => Err(WireError::Missing { field: "event" }),
    }
}

/// Encodes it for an agent.
pub(crate) fn query_to_proto(query: &OutputQuery) -> proto::ReadOutputRequest {
    let stream = match query.selection {
        Selection::Merged => proto::OutputStream::Merged,
        Selection::Only(stream) => stream_to_proto(stream),
    };
    proto::ReadOutputRequest {
        execution_id: query.execution.to_string(),
        stream: stream.into(),
        offset: out(query.offset),
        limit: out(query.limit),
    }
}

/// From a control plane.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn query_from_proto(
    message: &proto::ReadOutputRequest,
) -> Result<OutputQuery, WireError> {
    let selection = match stream_from_number(message.stream)? {
        proto::OutputStream::Merged => Selection::Merged,
        proto::OutputStream::Stdout => Selection::Only(Stream::Stdout),
        proto::OutputStream::Stderr => Selection::Only(Stream::Stderr),
    };
    Ok(OutputQuery {
        execution: ExecutionId::new(&message.execution_id)?,
        selection,
        offset: count("offset", message.offset)?,
        limit: count("limit", message.limit)?,
    })
}

/// For the control plane; `None` is an execution that is not kept here.
pub(crate) fn piece_to_proto(piece: Option<OutputPiece>) -> proto::ReadOutputResponse {
    piece.map_or_else(proto::ReadOutputResponse::default, |piece| {
        proto::ReadOutputResponse {
            found: true,
            data: piece.data,
            total: out(piece.total),
            ended: piece.ended,
        }
    })
}

/// From an agent.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn piece_from_proto(
    message: proto::ReadOutputResponse,
) -> Result<Option<OutputPiece>, WireError> {
    if !message.found {
        return Ok(None);
    }
    Ok(Some(OutputPiece {
        total: count("total", message.total)?,
        data: message.data,
        ended: message.ended,
    }))
}

/// Where in an output the stream changes.
pub(super) fn changes_to_proto(output: &Output) -> Vec<i64> {
    output.segments.starts().iter().copied().map(out).collect()
}

/// An output that comes with its changes of stream.
///
/// # Errors
/// [`WireError::Changes`].
pub(crate) fn output_from_proto(bytes: Vec<u8>, changes: Vec<i64>) -> Result<Output, WireError> {
    let starts = changes
        .into_iter()
        .map(|start| count("output_changes", start))
        .collect::<Result<_, _>>()?;
    let segments = Segments::from_starts(starts, bytes.len() as u64).ok_or(WireError::Changes)?;
    Ok(Output { bytes, segments })
}

fn chunk_to_proto(chunk: OutputChunk) -> proto::OutputChunk {
    proto::OutputChunk {
        stream: stream_to_proto(chunk.stream).into(),
        offset: out(chunk.offset),
        stream_offset: out(chunk.stream_offset),
        data: chunk.data,
    }
}

fn chunk_from_proto(message: proto::OutputChunk) -> Result<OutputChunk, WireError> {
    let stream = match stream_from_number(message.stream)? {
        proto::OutputStream::Stdout => Stream::Stdout,
        proto::OutputStream::Stderr => Stream::Stderr,
        proto::OutputStream::Merged => {
            return Err(WireError::word("stream", "merged", "stdout or stderr"));
        }
    };
    Ok(OutputChunk {
        stream,
        offset: count("offset", message.offset)?,
        stream_offset: count("stream_offset", message.stream_offset)?,
        data: message.data,
    })
}

fn stream_to_proto(stream: Stream) -> proto::OutputStream {
    match stream {
        Stream::Stdout => proto::OutputStream::Stdout,
        Stream::Stderr => proto::OutputStream::Stderr,
    }
}

fn stream_from_number(number: i32) -> Result<proto::OutputStream, WireError> {
    proto::OutputStream::try_from(number)
        .map_err(|_| WireError::word("stream", &number.to_string(), "0, 1 or 2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_survive_the_wire_and_belong_to_one_stream() {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let event = FollowEvent::Output(OutputChunk {
                stream,
                offset: 7,
                stream_offset: 3,
                data: vec![0, 255],
            });
            let back = event_from_proto(event_to_proto(event.clone())).expect("valid");
            assert_eq!(back, event);
        }
        let merged = proto::OutputChunk::default();
        assert!(chunk_from_proto(merged).is_err());
        assert!(event_from_proto(proto::FollowEvent { event: None }).is_err());
    }

    #[test]
    fn output_keeps_its_streams_apart_on_the_wire() {
        let output = |starts: &[u64]| Output {
            bytes: b"outerrout".to_vec(),
            segments: Segments::from_starts(starts.to_vec(), 9).expect("starts"),
        };
        for output in [output(&[]), output(&[3, 6]), output(&[0])] {
            let changes = changes_to_proto(&output);
            let back = output_from_proto(output.bytes.clone(), changes).expect("valid");
            assert_eq!(back, output);
        }
        for changes in [vec![-1], vec![9], vec![4, 4], vec![5, 3]] {
            assert!(output_from_proto(vec![0; 9], changes).is_err());
        }
    }

    #[test]
    fn queries_and_pieces_survive_the_wire() {
        for selection in [
            Selection::Merged,
            Selection::Only(Stream::Stdout),
            Selection::Only(Stream::Stderr),
        ] {
            let query = OutputQuery {
                execution: ExecutionId::new("e1").expect("id"),
                selection,
                offset: 5,
                limit: 6,
            };
            assert_eq!(
                query_from_proto(&query_to_proto(&query)).expect("valid"),
                query
            );
        }
        let piece = Some(OutputPiece {
            data: vec![1],
            total: 9,
            ended: true,
        });
        assert_eq!(
            piece_from_proto(piece_to_proto(piece.clone())).expect("valid"),
            piece
        );
        assert_eq!(piece_from_proto(piece_to_proto(None)).expect("valid"), None);
    }
}
