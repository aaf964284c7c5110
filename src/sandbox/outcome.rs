//! What comes out of a run, and what comes in while it runs.

use std::time::Duration;

use crate::model::execution::{Ending, Usage};
use crate::model::output::Stream;

/// Takes the output as it comes. Called on the execution's own thread, between its other duties:
/// a sink that blocks delays timeouts, cancels and the process itself (its pipe fills up).
pub trait OutputSink {
    /// Never called with empty data. Order within a stream is kept; between the two streams it is
    /// the order in which the reads found them.
    fn write(&mut self, stream: Stream, data: &[u8]);

    /// Called once, when the program runs; not at all when it could not be started.
    fn started(&mut self, _pid: u32) {}
}

/// Why an execution is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A user cancelled it, or the client that waited for it left.
    Cancelled,
    /// The agent ends and waits no longer.
    Shutdown,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// By itself, by a signal, at a limit, or because somebody stopped it.
    pub ending: Ending,
    /// For people; empty when the process exited with 0 and nothing else was wrong.
    pub error: String,
    /// Of the whole tree where a cgroup counts it, else of the leader and the children it waited for.
    pub usage: Usage,
    /// From the start of the process to the end of its leader; zero when it never started.
    pub duration: Duration,
    /// Something still held stdout or stderr open when the grace after the leader's end was over.
    pub leaked_pipes: bool,
    /// No process of the tree is alive. `false` is said in `error` too.
    pub tree_confirmed_dead: bool,
}
