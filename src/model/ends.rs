//! The ends that an agent tells of: every execution that ended there, each with a number.
//!
//! Numbers grow with the order in which ends were written down. Together with the start of the
//! agent that gave it a number names one end: after a power cut an agent may have forgotten its
//! last ends, and gives their numbers again.

use super::execution::ExecutionRecord;
use super::output::Output;

/// Up to where somebody knows an agent's ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The start of the agent that told it.
    pub boot_id: String,
    /// The last number that is known.
    pub sequence: u64,
}

/// An execution that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Final.
    pub record: ExecutionRecord,
    /// What it wrote.
    pub output: EndedOutput,
}

/// The output of an execution that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndedOutput {
    /// All that was recorded.
    Whole(Output),
    /// The first part of it: more is not kept.
    Cut(Output),
    /// Too long to be sent along: to be read where it was recorded.
    AtAgent,
}

/// A portion of an agent's ends, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// How far everything is known once these ends are.
    pub mark: Mark,
    /// Each with its number, in order.
    pub ended: Vec<(u64, Ended)>,
    /// Whether there are more.
    pub more: bool,
}

/// What an agent says of an execution that it may never have got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Its end is still to come.
    Running,
    /// It ended, or it never came and has ended as lost now: it never will start.
    Ended(Box<ExecutionRecord>),
    /// It may have ended so long ago that its record is gone.
    Forgotten,
}
