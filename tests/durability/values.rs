//! Values to store.

use std::time::Duration;

use flux::agent::journal::AcceptedExecution;
use flux::base::clock::Timestamp;
use flux::model::execution::{Ending, ExecutionRecord, Usage};
use flux::model::ids::{AgentId, ExecutionId, FunctionName};
use flux::store::Route;

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub fn id(text: &str) -> ExecutionId {
    ExecutionId::new(text).expect("id")
}

pub fn route(text: &str) -> Route {
    Route {
        execution: id(text),
        agent: AgentId::new("a1").expect("id"),
        function: FunctionName::new("f").expect("name"),
        accepted_at: at(1),
        expires_at: None,
        lost: false,
    }
}

pub fn running(text: &str) -> ExecutionRecord {
    ExecutionRecord {
        id: id(text),
        agent: AgentId::new("a1").expect("id"),
        function: FunctionName::new("f").expect("name"),
        function_version: 1,
        ending: None,
        error: String::new(),
        started_at: at(1),
        status_at: at(1),
        duration: Duration::ZERO,
        queued: Duration::ZERO,
        stdout_bytes: 0,
        stderr_bytes: 0,
        truncated: false,
        usage: Usage::default(),
    }
}

pub fn accepted(text: &str) -> AcceptedExecution {
    AcceptedExecution {
        record: running(text),
        durable: true,
    }
}

pub fn ended(text: &str) -> ExecutionRecord {
    ExecutionRecord {
        ending: Some(Ending::Exited(0)),
        ..running(text)
    }
}
