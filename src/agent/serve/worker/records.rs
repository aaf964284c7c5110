//! The records of executions: of those that run and of those that have ended. One that is cancelled
//! goes from the first to the second, and one that is old is forgotten.

use std::time::Duration;

use super::output::{read_all, recorded_output};
use super::refusals::journal_error;
use crate::agent::journal::ExecutionFilter;
use crate::agent::output;
use crate::agent::run::context::Context;
use crate::agent::serve::worker_api::WorkerError;
use crate::base::causes::with_causes;
use crate::base::clock::Timestamp;
use crate::model::execution::{Ending, Executed, ExecutionRecord};
use crate::model::ids::ExecutionId;
use crate::sandbox::StopReason;
use crate::wire::cancel::CancelOutcome;
use crate::wire::error::ErrorKind;
use crate::wire::listing::ExecutionQuery;

/// Until a cancelled execution is dead and recorded. The sandbox confirms far sooner, or reports
/// that it cannot.
const CANCEL_TIME: Duration = Duration::from_secs(20);
/// Records in one listing at the most.
const MAX_LISTED: u32 = 1000;
/// How long records stay that the control plane, which keeps them, has not fetched: it may be away for
/// a long weekend.
const UNKEPT_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// With the output so far; `None` when it is not known.
///
/// # Errors
/// `Storage`.
pub(super) fn get(
    context: &Context,
    execution: &ExecutionId,
) -> Result<Option<Executed>, WorkerError> {
    if let Some(live) = context.live.get(execution) {
        return Ok(Some(Executed {
            record: live.record(),
            output: read_all(live.output()),
        }));
    }
    match record_of(context, execution)? {
        Some(record) => Ok(Some(Executed {
            output: read_all(&recorded_output(context, execution)?),
            record,
        })),
        None => Ok(None),
    }
}

/// Newest first.
///
/// # Errors
/// `Storage`.
pub(super) fn list(
    context: &Context,
    query: &ExecutionQuery,
) -> Result<Vec<ExecutionRecord>, WorkerError> {
    let limit = match query.limit {
        0 => MAX_LISTED,
        limit => limit.min(MAX_LISTED),
    } as usize;
    // What runs first, then the journal: one that ends in between is in both, never in none.
    let mut records = context
        .live
        .list(query.function.as_ref(), query.before.as_ref());
    let filter = ExecutionFilter {
        function: query.function.clone(),
        status: query.status,
        before: query.before.clone(),
        ended_after: query.ended_after.clone(),
    };
    for record in context
        .journal
        .list(&filter, limit)
        .map_err(journal_error)?
    {
        match records.iter_mut().find(|live| live.id == record.id) {
            Some(live) if record.ending.is_some() => *live = record,
            // Its live record says more than the one that was written at its acceptance.
            Some(_) => {}
            None => records.push(record),
        }
    }
    records.retain(|record| query.status.is_none_or(|status| record.status() == status));
    records.sort_by(|a, b| b.id.cmp(&a.id));
    records.truncate(limit);
    Ok(records)
}

/// Returns once no process of it is alive.
///
/// # Errors
/// `Busy` when that cannot be confirmed in time; `Storage`.
pub(super) fn cancel(
    context: &Context,
    execution: &ExecutionId,
) -> Result<CancelOutcome, WorkerError> {
    let Some(live) = context.live.get(execution) else {
        return Ok(match record_of(context, execution)? {
            Some(_) => CancelOutcome::AlreadyEnded,
            None => CancelOutcome::UnknownExecution,
        });
    };
    live.control().stop(StopReason::Cancelled);
    if !live.ended().wait_timeout(CANCEL_TIME) {
        return Err(WorkerError::new(ErrorKind::Busy, execution)
            .because("it was told to stop, and is not confirmed dead yet"));
    }
    match live.last() {
        Some(last) if !last.tree_confirmed_dead => {
            Err(WorkerError::new(ErrorKind::Busy, execution).because(last.record.error.as_str()))
        }
        Some(last) if last.record.ending == Some(Ending::Cancelled) => Ok(CancelOutcome::Cancelled),
        Some(_) | None => Ok(CancelOutcome::AlreadyEnded),
    }
}

/// Forgets records, and their output, that ended `retention` ago.
pub(super) fn expire(context: &Context, now: Timestamp, retention: Duration) {
    loop {
        let expired = match context.journal.expire(now, retention, UNKEPT_RETENTION) {
            Ok(expired) if expired.is_empty() => return,
            Ok(expired) => expired,
            Err(error) => return log::warn!("expired records stay: {}", with_causes(&error)),
        };
        for id in expired {
            if let Err(error) = output::delete(&context.spool_dir, &id) {
                log::warn!("its output stays on disk: {}", with_causes(&error));
            }
        }
    }
}

/// Without the output; `None` when it is not known.
pub(super) fn record_of(
    context: &Context,
    id: &ExecutionId,
) -> Result<Option<ExecutionRecord>, WorkerError> {
    if let Some(live) = context.live.get(id) {
        return Ok(Some(live.record()));
    }
    context.journal.get(id).map_err(journal_error)
}
