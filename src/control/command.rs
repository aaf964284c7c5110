//! Everything that can be asked of the control plane, and everything it answers.
//!
//! The front door parses into [`Command`] and renders [`Answer`]; nothing else passes between.

use std::time::Duration;

use super::executions::Follow;
use super::fleet::AgentView;
use super::sync::AgentOutcome;
use crate::base::cancel::Cancel;
use crate::base::clock::Timestamp;
use crate::model::execution::{Executed, ExecutionRecord, Status, Stream};
use crate::model::function::{Env, Function, FunctionConfig, Version};
use crate::model::ids::{AgentId, ExecutionId, FunctionName};
use crate::model::resources::NodeStatus;
use crate::pki::enrolment::{EnrolAnswer, EnrolRequest};
use crate::store::ArchiveUpload;

/// One request. Legal at any time unless its text says otherwise; every one is refused with
/// `ShuttingDown` once the control plane ends.
#[derive(Debug)]
pub enum Command {
    /// Whether the store answers and the control plane serves.
    Ready,
    /// All agents.
    ListAgents,
    /// Adds the agent that answers at an address, after dialling it.
    RegisterAgent {
        /// `host:port`.
        address: String,
        /// Whether to dial with mTLS; the configuration decides when it is not said.
        tls: Option<bool>,
    },
    /// Makes a one-time token with which a worker can fetch its certificate.
    EnrollAgent(AgentId),
    /// Redeems such a token.
    JoinAgent(Box<EnrolRequest>),
    /// Takes an agent out of traffic, or back in.
    DrainAgent {
        /// Which.
        id: AgentId,
        /// `false` takes the drain back.
        drain: bool,
    },
    /// Forgets an agent.
    RemoveAgent(AgentId),
    /// Makes the configured minimum of machines; refused without a provider.
    Initialize,
    /// Ends all machines that Flux made.
    RemoveNodes,
    /// The control plane's and the agents' figures.
    Resources,
    /// Registers a function or replaces its configuration.
    RegisterFunction(Box<FunctionConfig>),
    /// All functions.
    ListFunctions,
    /// One function.
    GetFunction(FunctionName),
    /// Forgets a function, with its versions and on every agent.
    DeleteFunction(FunctionName),
    /// The kept versions of a function.
    ListVersions(FunctionName),
    /// Makes a kept version active.
    Rollback {
        /// Which function.
        name: FunctionName,
        /// Which version; the one before the active one when absent.
        version: Option<u64>,
    },
    /// Makes an uploaded archive a new version.
    Deploy {
        /// Which function.
        name: FunctionName,
        /// Where the archive was streamed to.
        upload: ArchiveUpload,
    },
    /// Runs a function and waits for its end.
    Execute(Call),
    /// Runs a function and answers once the work is durable.
    ExecuteAsync(Call),
    /// One execution, with its output so far.
    GetExecution(ExecutionId),
    /// Executions without their output, newest first.
    ListExecutions(Listing),
    /// A piece of an execution's output.
    ReadOutput {
        /// Whose.
        id: ExecutionId,
        /// Which of the two, or both in their order.
        stream: Option<Stream>,
        /// In bytes.
        offset: u64,
    },
    /// Output as it comes, then the final record.
    FollowExecution {
        /// Whose.
        id: ExecutionId,
        /// Position in the merged output, in bytes.
        offset: u64,
        /// Ends the following when the client leaves.
        client_gone: Cancel,
    },
    /// Ends a running execution.
    CancelExecution(ExecutionId),
}

/// What to run, with what.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which function.
    pub function: FunctionName,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Its standard input; empty = none.
    pub stdin: Vec<u8>,
    /// Added to the function's own environment.
    pub env: Env,
    /// Tightens the function's timeout for this call.
    pub timeout: Option<Duration>,
    /// The same key gives the first answer again.
    pub idempotency_key: Option<String>,
    /// Pulled when the client leaves.
    pub client_gone: Cancel,
}

/// Which executions to list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only of this function.
    pub function: Option<FunctionName>,
    /// Only in this state.
    pub status: Option<Status>,
    /// At the most.
    pub limit: usize,
    /// Only those older than this one.
    pub before: Option<ExecutionId>,
}

/// One answer, for the command of the same name unless said otherwise.
#[derive(Debug)]
pub enum Answer {
    /// Ready.
    Ready,
    /// `ListAgents`.
    Agents(Vec<AgentView>),
    /// `RegisterAgent`, `DrainAgent`.
    Agent(Box<AgentView>),
    /// `EnrollAgent`.
    Enrolled {
        /// For whom.
        agent: AgentId,
        /// To be given to `flux-agent join`; works once.
        token: String,
        /// Until when it works.
        expires_at: Timestamp,
    },
    /// `JoinAgent`.
    Joined(Box<EnrolAnswer>),
    /// `RemoveAgent`, `DeleteFunction`.
    Removed,
    /// `RemoveNodes`: how many.
    NodesRemoved(u32),
    /// `Resources`.
    Resources {
        /// The machine of the control plane.
        flux: NodeStatus,
        /// The agents'.
        agents: Vec<AgentView>,
    },
    /// `RegisterFunction`, `Deploy`, `Rollback`: stored, and what happened on each agent.
    Distributed {
        /// The function now.
        function: Box<Function>,
        /// By agent.
        agents: Vec<AgentOutcome>,
    },
    /// `ListFunctions`.
    Functions(Vec<Function>),
    /// `GetFunction`.
    Function(Box<Function>),
    /// `ListVersions`.
    Versions {
        /// Whose.
        function: Box<Function>,
        /// Newest first.
        versions: Vec<Version>,
    },
    /// `Execute`: it ended.
    Ended(Box<Executed>),
    /// `ExecuteAsync`: accepted.
    Accepted(ExecutionId),
    /// `GetExecution`.
    Execution(Box<Executed>),
    /// `ListExecutions`.
    Executions {
        /// Newest first.
        records: Vec<ExecutionRecord>,
        /// Pass as `before` for the next page.
        next: Option<ExecutionId>,
        /// Agents whose executions are missing here.
        unreachable: Vec<AgentId>,
    },
    /// `ReadOutput`.
    Output {
        /// From the offset on.
        data: Vec<u8>,
        /// Bytes recorded of it so far.
        total: u64,
        /// Whether nothing more can come.
        ended: bool,
    },
    /// `FollowExecution`.
    Follow(Box<Follow>),
    /// `CancelExecution`: its whole process tree is dead.
    Cancelled(ExecutionId),
}
