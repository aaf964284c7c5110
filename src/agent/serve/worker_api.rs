//! What the wire asks of the worker, in values: the seam between `service`, which speaks gRPC, and
//! the worker, which knows nothing of it.

use std::error::Error;
use std::fmt;
use std::io::Read;
use std::ops::ControlFlow;

use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::model::ends::{Ends, Mark, Settled};
use crate::model::execution::{Executed, ExecutionRecord};
use crate::model::ids::{ExecutionId, FunctionName};
use crate::rpc::Refusal;
use crate::rpc::client::Health;
use crate::wire::cancel::CancelOutcome;
use crate::wire::drain::DrainState;
use crate::wire::ends::{EndsQuery, SettleQuery};
use crate::wire::error::ErrorKind;
use crate::wire::execute::ExecuteRequest;
use crate::wire::function::{HeldFunction, ReceivedConfig, ReleaseHeader};
use crate::wire::listing::ExecutionQuery;
use crate::wire::node::NodeReport;
use crate::wire::output::{FollowEvent, OutputPiece, OutputQuery};
use crate::wire::watch::WatchEvent;

/// Called exactly once with what came of an execution; blocks until the answer is on its way.
/// Dropped uncalled, it breaks the call off, and the caller learns nothing.
pub type OnDone = Box<dyn FnOnce(Result<Executed, WorkerError>) + Send>;

/// The worker as the wire sees it. Every method may block, except where it says that it must not.
pub trait Worker: Send + Sync + 'static {
    /// Makes a configuration known, or replaces it. Gives a remark for people, empty when there is
    /// nothing to remark.
    ///
    /// # Errors
    /// `Invalid`, `NoUserLeft`, `Storage`.
    fn register_function(&self, config: ReceivedConfig) -> Result<String, WorkerError>;

    /// Reads an archive to its end, checks it against the header, and brings it into force.
    /// Version 0 comes from a legacy control plane, which does not count versions. Gives a remark
    /// as [`Worker::register_function`] does.
    ///
    /// # Errors
    /// `ArchiveRefused` also when reading fails; `FunctionNotFound` when the header has no
    /// configuration and none is known; `NoUserLeft`; `Storage`.
    fn install_release(
        &self,
        header: ReleaseHeader,
        archive: &mut dyn Read,
    ) -> Result<String, WorkerError>;

    /// Drops a function and its releases; an unknown one is no error.
    ///
    /// # Errors
    /// `Storage`.
    fn remove_function(&self, function: &FunctionName) -> Result<(), WorkerError>;

    /// What is held.
    ///
    /// # Errors
    /// `Storage`.
    fn list_functions(&self) -> Result<Vec<HeldFunction>, WorkerError>;

    /// Admits and starts an execution. Must not block: it runs on a thread that moves bytes for
    /// every call. The answer goes through `on_done`, from the execution's own thread: at its
    /// end, or, when it is asynchronous, once it is durable (then with a running record).
    ///
    /// # Errors
    /// A refusal at once, in place of a call to `on_done`.
    fn execute(&self, request: ExecuteRequest, on_done: OnDone) -> Result<(), WorkerError>;

    /// Ends an execution and returns once no process of it is alive.
    ///
    /// # Errors
    /// `Storage`.
    fn cancel(&self, execution: &ExecutionId) -> Result<CancelOutcome, WorkerError>;

    /// A record and its merged output so far.
    ///
    /// # Errors
    /// `Storage`; an unknown execution is `None`.
    fn get_execution(&self, execution: &ExecutionId) -> Result<Option<Executed>, WorkerError>;

    /// Gives output to `emit` from `offset` of the merged output on, then, exactly once and last,
    /// the record. Returns when that is done, `emit` breaks, or `left` is pulled.
    ///
    /// # Errors
    /// `ExecutionNotFound`, `Storage`.
    fn follow(
        &self,
        execution: &ExecutionId,
        offset: u64,
        left: &Cancel,
        emit: &mut dyn FnMut(FollowEvent) -> ControlFlow<()>,
    ) -> Result<(), WorkerError>;

    /// Signals to `emit` first what runs, then every end of an execution that nobody waits for.
    /// Returns when `emit` breaks, `left` is pulled, or the feed cannot go on.
    ///
    /// # Errors
    /// `Busy` when too many listen already.
    fn watch(
        &self,
        left: &Cancel,
        emit: &mut dyn FnMut(WatchEvent) -> ControlFlow<()>,
    ) -> Result<(), WorkerError>;

    /// Ends, with their final records and, where it is short, their output.
    ///
    /// # Errors
    /// `Storage`.
    fn read_ends(&self, query: &EndsQuery) -> Result<Ends, WorkerError>;

    /// A control plane has kept the ends up to there. Must not block.
    fn ends_kept(&self, kept: &Mark);

    /// What became of an execution that may never have come here; one that has not has ended as lost
    /// when this returns, and is refused should it still come.
    ///
    /// # Errors
    /// `Storage`.
    fn settle(&self, query: &SettleQuery) -> Result<Settled, WorkerError>;

    /// A piece of recorded output; `query.limit` is set and bounded.
    ///
    /// # Errors
    /// `Storage`; an unknown execution is `None`.
    fn read_output(&self, query: &OutputQuery) -> Result<Option<OutputPiece>, WorkerError>;

    /// Records, newest first.
    ///
    /// # Errors
    /// `Storage`.
    fn list_executions(&self, query: &ExecutionQuery) -> Result<Vec<ExecutionRecord>, WorkerError>;

    /// Starts or ends draining.
    ///
    /// # Errors
    /// `Storage`.
    fn drain(&self, drain: bool) -> Result<DrainState, WorkerError>;

    /// The last figures. Must not block.
    fn node_status(&self) -> NodeReport;

    /// Whether work can be taken. Must not block.
    fn health(&self) -> Health;
}

/// Why the worker refuses or fails.
#[derive(Debug)]
pub struct WorkerError {
    kind: ErrorKind,
    subject: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl WorkerError {
    /// `subject` is the execution, function or field that it is about.
    pub fn new(kind: ErrorKind, subject: impl fmt::Display) -> WorkerError {
        WorkerError {
            kind,
            subject: subject.to_string(),
            source: None,
        }
    }

    /// With its cause, whose text the control plane gets to read.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> WorkerError {
        WorkerError {
            source: Some(source.into()),
            ..self
        }
    }

    /// For the wire: the causes become one line.
    pub(crate) fn to_refusal(&self) -> Refusal {
        Refusal {
            kind: self.kind,
            subject: self.subject.clone(),
            message: with_causes(self),
        }
    }
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        match self.kind {
            ErrorKind::FunctionAtCapacity => {
                write!(f, "function {subject} runs as often as it may here")
            }
            ErrorKind::AgentAtCapacity => f.write_str("the agent runs as much as it may"),
            ErrorKind::FunctionNotFound => write!(f, "function {subject} is not known here"),
            ErrorKind::FunctionNotDeployed => write!(f, "function {subject} has no code here"),
            ErrorKind::FunctionOutOfDate => {
                write!(f, "function {subject} is in another version here")
            }
            ErrorKind::Draining => f.write_str("the agent drains and accepts nothing"),
            ErrorKind::ExecutionNotFound => write!(f, "execution {subject} is not kept here"),
            ErrorKind::ExecutionExists => write!(f, "execution {subject} was accepted before"),
            ErrorKind::Invalid => write!(f, "{subject} is invalid"),
            ErrorKind::ArchiveRefused => write!(f, "the archive of {subject} is refused"),
            ErrorKind::Storage => write!(f, "the agent's storage failed for {subject}"),
            ErrorKind::NotAuthorised => f.write_str("only the control plane may call an agent"),
            ErrorKind::Busy => f.write_str("the agent answers as many such calls as it may"),
            ErrorKind::NoUserLeft => write!(f, "no user is left for function {subject} here"),
        }
    }
}

impl Error for WorkerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}
