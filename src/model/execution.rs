//! An execution: one run of one version of one function, accepted once, ended once, recorded.

use std::time::Duration;

use super::ids::{AgentId, ExecutionId, FunctionName};
use super::output::Output;
use crate::base::clock::Timestamp;

/// The four states that the contract fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Accepted, and not yet ended.
    Running,
    /// Exited with code 0.
    Success,
    /// Ended in any other way, but not by a cancel.
    Failed,
    /// Ended by a cancel.
    Cancelled,
}

impl Status {
    /// All of them.
    pub(crate) const ALL: [Status; 4] = [
        Status::Running,
        Status::Success,
        Status::Failed,
        Status::Cancelled,
    ];

    /// As it stands in records.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Success => "success",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    /// The reverse of [`Status::as_str`].
    pub(crate) fn parse(text: &str) -> Option<Status> {
        Status::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// How an execution ended. The status follows from it: see [`Ending::status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The process ended by itself, with this code.
    Exited(i32),
    /// A signal that Flux did not send ended it.
    Signalled(i32),
    /// It ran into its timeout.
    TimedOut,
    /// The kernel killed it at its memory limit.
    OutOfMemory,
    /// It was killed because it held more on disk than its limit.
    OutOfDisk,
    /// A user cancelled it.
    Cancelled,
    /// The agent or the machine under it ended first; nobody knows how far it came.
    Lost,
    /// It never started.
    SpawnFailed,
}

impl Ending {
    /// All reasons.
    pub(crate) const REASONS: [&'static str; 8] = [
        "exited",
        "signalled",
        "timed_out",
        "out_of_memory",
        "out_of_disk",
        "cancelled",
        "lost",
        "spawn_failed",
    ];

    /// `reason` in records.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Ending::Exited(_) => "exited",
            Ending::Signalled(_) => "signalled",
            Ending::TimedOut => "timed_out",
            Ending::OutOfMemory => "out_of_memory",
            Ending::OutOfDisk => "out_of_disk",
            Ending::Cancelled => "cancelled",
            Ending::Lost => "lost",
            Ending::SpawnFailed => "spawn_failed",
        }
    }

    /// The final status.
    pub(crate) const fn status(self) -> Status {
        match self {
            Ending::Exited(0) => Status::Success,
            Ending::Cancelled => Status::Cancelled,
            Ending::Exited(_)
            | Ending::Signalled(_)
            | Ending::TimedOut
            | Ending::OutOfMemory
            | Ending::OutOfDisk
            | Ending::Lost
            | Ending::SpawnFailed => Status::Failed,
        }
    }

    /// `exit_code` in records.
    pub(crate) const fn exit_code(self) -> Option<i32> {
        match self {
            Ending::Exited(code) => Some(code),
            _ => None,
        }
    }

    /// `signal` in records.
    pub(crate) const fn signal(self) -> Option<i32> {
        match self {
            Ending::Signalled(signal) => Some(signal),
            _ => None,
        }
    }

    /// From the parts of a record; `None` when they make no ending.
    pub(crate) fn from_parts(
        reason: &str,
        exit_code: Option<i32>,
        signal: Option<i32>,
    ) -> Option<Ending> {
        match reason {
            "exited" => exit_code.map(Ending::Exited),
            "signalled" => signal.map(Ending::Signalled),
            "timed_out" => Some(Ending::TimedOut),
            "out_of_memory" => Some(Ending::OutOfMemory),
            "out_of_disk" => Some(Ending::OutOfDisk),
            "cancelled" => Some(Ending::Cancelled),
            "lost" => Some(Ending::Lost),
            "spawn_failed" => Some(Ending::SpawnFailed),
            _ => None,
        }
    }
}

/// What an execution used, as far as the system counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// User and system time of the whole tree.
    pub cpu: Duration,
    /// Peak resident memory, in bytes.
    pub max_rss_bytes: u64,
    /// Bytes read from storage.
    pub io_read_bytes: u64,
    /// Bytes written to storage.
    pub io_write_bytes: u64,
    /// The most that its working directory was found to hold at once, in bytes; `None` when nobody looked.
    pub max_disk_bytes: Option<u64>,
}

/// Everything known about one execution except its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionRecord {
    /// Unique; given before anything is started.
    pub id: ExecutionId,
    /// Where it runs or ran.
    pub agent: AgentId,
    /// The name of the function.
    pub function: FunctionName,
    /// Of the code; 0 when a legacy agent does not say.
    pub function_version: u64,
    /// Absent while it runs.
    pub ending: Option<Ending>,
    /// What went wrong, for people; empty while it runs and when nothing did.
    pub error: String,
    /// When the agent accepted it.
    pub started_at: Timestamp,
    /// When the status last changed.
    pub status_at: Timestamp,
    /// So far, or in all.
    pub duration: Duration,
    /// How long it waited in the control plane's queue.
    pub queued: Duration,
    /// Recorded and unrecorded bytes of stdout.
    pub stdout_bytes: u64,
    /// Recorded and unrecorded bytes of stderr.
    pub stderr_bytes: u64,
    /// Whether output beyond the limit was discarded.
    pub truncated: bool,
    /// Zero while it runs.
    pub usage: Usage,
}

/// An execution as it is answered: its record and its merged output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Everything but the output.
    pub record: ExecutionRecord,
    /// As far as it is kept or sent along.
    pub output: Output,
}

impl ExecutionRecord {
    /// Whether `bytes` of output are less than it has written, though it does not say that it is truncated: a file
    /// is gone, or a power cut has taken the last of it.
    pub fn is_missing_output(&self, bytes: u64) -> bool {
        !self.truncated && bytes < self.stdout_bytes + self.stderr_bytes
    }

    /// Of an execution that was accepted at `at`: it runs, and nothing is known of it yet.
    pub fn accepted(
        id: ExecutionId,
        agent: AgentId,
        function: FunctionName,
        function_version: u64,
        at: Timestamp,
    ) -> ExecutionRecord {
        ExecutionRecord {
            id,
            agent,
            function,
            function_version,
            ending: None,
            error: String::new(),
            started_at: at,
            status_at: at,
            duration: Duration::ZERO,
            queued: Duration::ZERO,
            stdout_bytes: 0,
            stderr_bytes: 0,
            truncated: false,
            usage: Usage::default(),
        }
    }

    /// The same once it is lost: nobody knows how far it came, and `why` says how that came about.
    #[must_use]
    pub(crate) fn lost(self, why: &str, at: Timestamp) -> ExecutionRecord {
        ExecutionRecord {
            ending: Some(Ending::Lost),
            error: format!("lost: {why}"),
            status_at: at,
            duration: at.since(self.started_at),
            ..self
        }
    }

    /// `running` until there is an ending.
    pub fn status(&self) -> Status {
        self.ending.map_or(Status::Running, Ending::status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_survives_its_parts_and_has_a_final_status() {
        for ending in [
            Ending::Exited(0),
            Ending::Exited(3),
            Ending::Signalled(9),
            Ending::TimedOut,
            Ending::OutOfMemory,
            Ending::OutOfDisk,
            Ending::Cancelled,
            Ending::Lost,
            Ending::SpawnFailed,
        ] {
            let parts = Ending::from_parts(ending.reason(), ending.exit_code(), ending.signal());
            assert_eq!(parts, Some(ending));
            assert!(Ending::REASONS.contains(&ending.reason()));
            assert_ne!(ending.status(), Status::Running);
        }
        assert_eq!(Ending::from_parts("exited", None, None), None);
        assert_eq!(Ending::from_parts("", Some(0), None), None);
    }

    #[test]
    fn only_exit_code_zero_is_success_and_only_a_cancel_is_cancelled() {
        assert_eq!(Ending::Exited(0).status(), Status::Success);
        assert_eq!(Ending::Exited(1).status(), Status::Failed);
        assert_eq!(Ending::Cancelled.status(), Status::Cancelled);
        assert_eq!(Ending::Lost.status(), Status::Failed);
    }
}
