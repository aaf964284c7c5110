//! What came of an execution as a message that its reader can take: in the reader's words, and no
//! longer than a message may be. Longer output is cut, and says so.

use crate::agent::serve::worker_api::WorkerError;
use crate::model::execution::Executed;
use crate::rpc::limits::MAX_DEPLOY_BYTES;
use crate::rpc::{Refusal, legacy};
use crate::wire;
use crate::wire::error::WireError;
use crate::wire::execute::Protocol;
use crate::wire::proto;

/// Output in one answer, below what legacy peers take as a message.
const OUTPUT_MOST: usize = MAX_DEPLOY_BYTES - (64 << 10);
/// A change of stream in an answer: a number below 2^28, written in groups of seven bits.
const CHANGE_BYTES: usize = 4;

/// What is sent for an execution: an answer, or a refusal that becomes a status.
pub(super) type ExecutionAnswer = Result<proto::ExecutionResponse, Refusal>;

/// In the words of the caller: a legacy control plane reads texts.
pub(super) fn rendered(
    protocol: Protocol,
    result: Result<Executed, WorkerError>,
) -> ExecutionAnswer {
    let result = result.map(bounded).map_err(|error| error.to_refusal());
    match (protocol, result) {
        (Protocol::Flux, result) => result.map(wire::execute::response_to_proto),
        (Protocol::Legacy, Ok(executed)) => Ok(legacy::response(executed)),
        (Protocol::Legacy, Err(refusal)) => Ok(legacy::refused(&refusal)),
    }
}

/// Output that no message can carry must not turn a success into an error.
fn bounded(mut executed: Executed) -> Executed {
    let output = &mut executed.output;
    let changes = output.segments.starts().len() * CHANGE_BYTES;
    let room = OUTPUT_MOST.saturating_sub(changes);
    if output.bytes.len() > room {
        output.truncate(room);
        executed.record.truncated = true;
    }
    executed
}

/// JSON writes a control character in six bytes: what fits as bytes may not fit as JSON.
pub(super) fn record_json(executed: Executed) -> Result<Vec<u8>, WireError> {
    let mut executed = bounded(executed);
    loop {
        let json = wire::record::encode(&executed)?;
        if json.len() <= MAX_DEPLOY_BYTES - 1024 || executed.output.bytes.is_empty() {
            return Ok(json);
        }
        executed.output.truncate(executed.output.bytes.len() / 2);
        executed.record.truncated = true;
    }
}
