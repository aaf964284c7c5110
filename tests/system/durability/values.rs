//! Values to store.

use flux::agent::journal::AcceptedExecution;
use flux::base::clock::Timestamp;
use flux::model::execution::{Ending, ExecutionRecord};
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
    }
}

pub fn running(text: &str) -> ExecutionRecord {
    ExecutionRecord::accepted(
        id(text),
        AgentId::new("a1").expect("id"),
        FunctionName::new("f").expect("name"),
        1,
        at(1),
    )
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
