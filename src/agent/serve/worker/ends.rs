//! The ends of executions as a control plane reads them, and the fate of those that may never have
//! come here.

use super::refusals::journal_error;
use crate::agent::journal::MAX_ENDS;
use crate::agent::output::{OutputError, OutputLog};
use crate::agent::run::context::Context;
use crate::agent::serve::worker_api::WorkerError;
use crate::base::causes::with_causes;
use crate::model::ends::{Ended, EndedOutput, Ends, Mark, Settled};
use crate::model::execution::{Ending, ExecutionRecord};
use crate::model::ids::AgentId;
use crate::model::output::Output;
use crate::wire::ends::{EndsQuery, SettleQuery};

/// Output that is sent along with its end, in bytes: that of nearly every execution. What is longer
/// is asked for by itself.
const OUTPUT_ALONG: u64 = 64 << 10;
/// Output in one portion of ends, in bytes: what one message may well have.
const OUTPUT_IN_ALL: usize = 4 << 20;

/// The ends after the query's mark, as many as go into one message.
///
/// # Errors
/// `Storage`.
pub(super) fn read(context: &Context, query: &EndsQuery) -> Result<Ends, WorkerError> {
    let limit = match query.limit {
        0 => MAX_ENDS,
        limit => (limit as usize).min(MAX_ENDS),
    };
    let portion = context
        .journal
        .ends_after(query.after.as_ref(), limit)
        .map_err(journal_error)?;
    let mut more = portion.ends.len() == limit;
    let mut mark = Mark {
        boot_id: context.journal.boot_id().to_owned(),
        sequence: portion.after,
    };
    let mut ended = Vec::with_capacity(portion.ends.len());
    let mut room = OUTPUT_IN_ALL;
    for (sequence, record) in portion.ends {
        let output = output_along(context, &record);
        if let EndedOutput::Whole(output) = &output {
            let Some(left) = room.checked_sub(output.bytes.len()) else {
                more = true;
                break;
            };
            room = left;
        }
        mark.sequence = sequence;
        ended.push((sequence, Ended { record, output }));
    }
    Ok(Ends { mark, ended, more })
}

/// What became of an execution; one that is not known here has ended as lost with this, and cannot
/// come any more.
///
/// # Errors
/// `Storage`.
pub(super) fn settle(
    context: &Context,
    agent: &AgentId,
    query: &SettleQuery,
) -> Result<Settled, WorkerError> {
    let Some(_hold) = context.live.hold(&query.execution) else {
        return Ok(Settled::Running);
    };
    let accepted = ExecutionRecord::accepted(
        query.execution.clone(),
        agent.clone(),
        query.function.clone(),
        0,
        query.accepted_at,
    );
    let lost = accepted.lost("its agent has no record of it", context.clock.now());
    context.journal.settle(&lost).map_err(journal_error)
}

fn output_along(context: &Context, record: &ExecutionRecord) -> EndedOutput {
    // Earlier releases did not count what a lost one wrote.
    let is_counted = record.ending != Some(Ending::Lost);
    if is_counted && record.stdout_bytes + record.stderr_bytes == 0 {
        return EndedOutput::Whole(Output::default());
    }
    let read = || {
        let log = OutputLog::reopen(&context.spool_dir, &record.id)?;
        if log.recorded() > OUTPUT_ALONG {
            return Ok(EndedOutput::AtAgent);
        }
        let is_missing = record.is_missing_output(log.recorded());
        let output = log.read_all()?;
        Ok(if is_missing {
            EndedOutput::Cut(output)
        } else {
            EndedOutput::Whole(output)
        })
    };
    read().unwrap_or_else(|error: OutputError| {
        log::error!("{}", with_causes(&error));
        EndedOutput::AtAgent
    })
}
