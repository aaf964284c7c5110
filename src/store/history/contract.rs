//! The contract, by subject: what every history store does.

use std::ops::Range;

use crate::base::clock::Timestamp;
use crate::model::ends::{Ended, EndedOutput, Ends, Mark};
use crate::model::execution::{ExecutionRecord, Status};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::model::output::{Output, Segments};
use crate::store::error::StoreError;

/// The history, whole. Who needs one subject takes that subject's trait. Shared by all threads; every
/// method is atomic.
///
/// # Errors
/// Every method of every subject: [`StoreError::Unavailable`] when the store cannot be reached,
/// [`StoreError::Full`] when it cannot take a write, [`StoreError::Corrupt`] when an entry it has
/// to read is broken. A method names those that it has besides.
pub trait HistoryStore: RecordStore + OutputStore + EndStore {
    /// Whether the store answers; cheap enough for a probe every second.
    ///
    /// # Errors
    /// Why it does not.
    fn check(&self) -> Result<(), StoreError>;

    /// Returns once everything written lazily before is with the operating system: it survives the
    /// end of this process.
    fn flush(&self) -> Result<(), StoreError>;
}

/// Which records to list.
#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    /// Only those of this function.
    pub function: Option<FunctionName>,
    /// Only those in this status.
    pub status: Option<Status>,
    /// Only those whose id sorts before this one.
    pub before: Option<ExecutionId>,
}

/// Which records have been kept long enough: those of successes that ended before one time, and those
/// of everything else that ended before another.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// The time by which reprieves count as over.
    pub now: Timestamp,
    /// Successes that ended before this are due.
    pub successes_before: Timestamp,
    /// Everything else that ended before this is due.
    pub others_before: Timestamp,
}

/// Records of executions that ended.
///
/// # Errors
/// Those of every method of [`HistoryStore`].
pub trait RecordStore: Send + Sync {
    /// Keeps an execution without waiting for the disk: it is read back at once, survives the end of
    /// this process from the next [`HistoryStore::flush`] on, and is on disk with the next write that
    /// is. Should its write fail, that is logged and it is forgotten. One that is kept already stays
    /// as it is, but for an output that was not here yet.
    fn keep_lazily(&self, ended: Ended);

    /// The same, on disk when this returns. On an error none of them is kept.
    fn keep(&self, ended: Vec<Ended>) -> Result<(), StoreError>;

    /// The record of an execution.
    fn get_record(&self, id: &ExecutionId) -> Result<Option<ExecutionRecord>, StoreError>;

    /// Up to `limit` records, by id from the last to the first: Flux's own ids sort by their making,
    /// so these are the newest.
    fn list_records(
        &self,
        filter: &RecordFilter,
        limit: usize,
    ) -> Result<Vec<ExecutionRecord>, StoreError>;

    /// Up to `limit` executions that have been kept long enough and are not reprieved.
    fn due_records(&self, due: &Due, limit: usize) -> Result<Vec<ExecutionId>, StoreError>;

    /// Up to `limit` executions that ended longest ago and are not reprieved at `now`, each with about
    /// how many bytes its record takes.
    fn oldest_records(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(ExecutionId, u64)>, StoreError>;

    /// Keeps an execution from being due or among the oldest until then; whether it is kept.
    fn reprieve(&self, id: &ExecutionId, until: Timestamp) -> Result<bool, StoreError>;

    /// Forgets executions and their output; how many of them were kept.
    fn forget_records(&self, ids: &[ExecutionId]) -> Result<usize, StoreError>;

    /// Bytes that everything here takes, the store's own bookkeeping among them.
    fn used_bytes(&self) -> Result<u64, StoreError>;

    /// Gives some of the room that nothing uses back to the system, where that and what is used are
    /// more than `to` bytes together: as much as takes a short while.
    fn shrink(&self, to: u64) -> Result<(), StoreError>;
}

/// How much of an execution's output is kept here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wholeness {
    /// All that its agent recorded.
    Whole,
    /// Less, and there will not be more: it was too long, or had to make room, or is gone with its agent.
    Partial,
    /// It has not been fetched from its agent yet.
    AtAgent,
}

/// The output of an execution as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOutput {
    /// How much of it there is.
    pub wholeness: Wholeness,
    /// Bytes that can be read here.
    pub bytes: u64,
    /// Which of these bytes belong to which stream.
    pub segments: Segments,
}

impl KeptOutput {
    /// All of it.
    pub fn whole(output: &Output) -> KeptOutput {
        KeptOutput {
            wholeness: Wholeness::Whole,
            bytes: output.bytes.len() as u64,
            segments: output.segments.clone(),
        }
    }

    /// What can be kept with an end.
    pub(crate) fn of(output: &EndedOutput) -> KeptOutput {
        match output {
            EndedOutput::Whole(output) => KeptOutput::whole(output),
            EndedOutput::Cut(output) => KeptOutput {
                wholeness: Wholeness::Partial,
                ..KeptOutput::whole(output)
            },
            EndedOutput::AtAgent => KeptOutput {
                wholeness: Wholeness::AtAgent,
                bytes: 0,
                segments: Segments::default(),
            },
        }
    }
}

/// What executions wrote.
///
/// # Errors
/// Those of every method of [`HistoryStore`].
pub trait OutputStore: Send + Sync {
    /// What is kept of the output of an execution that is kept.
    fn output(&self, id: &ExecutionId) -> Result<Option<KeptOutput>, StoreError>;

    /// The bytes in `range` of the merged output, as far as they are kept.
    fn read_output(&self, id: &ExecutionId, range: Range<u64>) -> Result<Vec<u8>, StoreError>;

    /// Adds a piece, at a position of the merged output, to an output that is still at its agent; not
    /// readable before [`OutputStore::complete_output`]. Whether the output was waited for.
    fn add_output(
        &self,
        id: &ExecutionId,
        position: u64,
        data: Vec<u8>,
    ) -> Result<bool, StoreError>;

    /// The pieces added so far are what is kept of an output that was still at its agent; on disk
    /// when this returns. Whether the output was waited for.
    fn complete_output(&self, id: &ExecutionId, output: &KeptOutput) -> Result<bool, StoreError>;

    /// Up to `limit` executions whose output is still at `agent`, those first that ended first.
    fn outputs_at(&self, agent: &AgentId, limit: usize) -> Result<Vec<ExecutionId>, StoreError>;

    /// Up to `limit` executions that ended longest ago, are not reprieved at `now`, and have output, each
    /// with how many bytes of it.
    fn oldest_outputs(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(ExecutionId, u64)>, StoreError>;

    /// Forgets the output of executions, and keeps their records.
    fn forget_outputs(&self, ids: &[ExecutionId]) -> Result<(), StoreError>;
}

/// How far each agent's ends are kept.
///
/// # Errors
/// Those of every method of [`HistoryStore`].
pub trait EndStore: Send + Sync {
    /// Up to where the ends of an agent are kept; `None` when none are.
    fn mark(&self, agent: &AgentId) -> Result<Option<Mark>, StoreError>;

    /// Keeps ends of an agent and how far they go, in one step; on disk when this returns.
    fn keep_ends(&self, agent: &AgentId, ends: Ends) -> Result<(), StoreError>;

    /// Up to where an agent may forget its ends: before the first one whose output is still there.
    fn released_mark(&self, agent: &AgentId) -> Result<Option<Mark>, StoreError>;

    /// Forgets how far the ends of an agent are kept: it is gone. Output that is still there counts
    /// as gone with it; what is kept stays.
    fn forget_agent(&self, agent: &AgentId) -> Result<(), StoreError>;
}
