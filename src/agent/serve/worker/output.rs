//! The output of executions, read and followed: of those that run, and of those that have ended.

use std::ops::ControlFlow;

use super::records::record_of;
use super::refusals::{journal_error, output_error};
use crate::agent::output::{FollowItem, OutputLog};
use crate::agent::run::context::Context;
use crate::agent::serve::worker_api::WorkerError;
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::model::ids::ExecutionId;
use crate::model::output::Output;
use crate::wire::error::ErrorKind;
use crate::wire::output::{FollowEvent, OutputPiece, OutputQuery, Selection};

/// A piece of what is recorded by now; `None` when the execution is not known.
///
/// # Errors
/// `Storage`.
pub(super) fn read(
    context: &Context,
    query: &OutputQuery,
) -> Result<Option<OutputPiece>, WorkerError> {
    let Some(output) = output_of(context, &query.execution)? else {
        return Ok(None);
    };
    let page = match query.selection {
        Selection::Merged => output.read_merged(query.offset, query.limit),
        Selection::Only(stream) => output.read_stream(stream, query.offset, query.limit),
    }
    .map_err(output_error)?;
    Ok(Some(OutputPiece {
        data: page.data,
        total: page.total,
        ended: page.ended,
    }))
}

/// Output from `offset` of the merged output on, then the record.
///
/// # Errors
/// `ExecutionNotFound`, `Storage`.
pub(super) fn follow(
    context: &Context,
    execution: &ExecutionId,
    offset: u64,
    left: &Cancel,
    emit: &mut dyn FnMut(FollowEvent) -> ControlFlow<()>,
) -> Result<(), WorkerError> {
    // Taken before the output: once that has ended, this says when the record is final.
    let live = context.live.get(execution);
    let output = match &live {
        Some(live) => live.output().clone(),
        None => output_of(context, execution)?
            .ok_or_else(|| WorkerError::new(ErrorKind::ExecutionNotFound, execution))?,
    };
    let mut follower = output.follow(offset);
    loop {
        match follower.next(None, left).map_err(output_error)? {
            FollowItem::Chunk(chunk) => {
                if emit(FollowEvent::Output(chunk)).is_break() {
                    return Ok(());
                }
            }
            FollowItem::Ended => break,
            FollowItem::TimedOut => {}
            FollowItem::Cancelled => return Ok(()),
        }
    }
    // The output ends a moment before the record is written.
    if let Some(live) = &live {
        crossbeam_channel::select! {
            recv(live.ended().receiver()) -> _ => {}
            recv(left.receiver()) -> _ => return Ok(()),
        }
    }
    let last = live
        .as_ref()
        .and_then(|live| Some(live.last()?.record.clone()));
    let record = match last {
        Some(record) => record,
        None => record_of(context, execution)?
            .ok_or_else(|| WorkerError::new(ErrorKind::ExecutionNotFound, execution))?,
    };
    // Whether it is taken makes no difference any more.
    let _ = emit(FollowEvent::Ended(Box::new(record)));
    Ok(())
}

/// All that is recorded; nothing, and a line in the log, where it cannot be read.
pub(super) fn read_all(output: &OutputLog) -> Output {
    output.read_all().unwrap_or_else(|error| {
        log::error!("recorded output cannot be read: {}", with_causes(&error));
        Output::default()
    })
}

/// The output of an execution, wherever it is; `None` when it is not known.
fn output_of(context: &Context, id: &ExecutionId) -> Result<Option<OutputLog>, WorkerError> {
    if let Some(live) = context.live.get(id) {
        return Ok(Some(live.output().clone()));
    }
    match context.journal.get(id).map_err(journal_error)? {
        Some(_) => Ok(Some(recorded_output(context, id)?)),
        None => Ok(None),
    }
}

pub(super) fn recorded_output(
    context: &Context,
    id: &ExecutionId,
) -> Result<OutputLog, WorkerError> {
    OutputLog::reopen(&context.spool_dir, id).map_err(output_error)
}
