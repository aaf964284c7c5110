//! What an agent signals to its control planes: what runs, and what nobody waits for and has ended.

use super::error::WireError;
use super::proto::{self, watch_event::Event};
use crate::model::ids::{ExecutionId, FunctionName};

/// One thing that is signalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// Everything that runs; the first thing that comes.
    Running(Vec<(ExecutionId, FunctionName)>),
    /// Which one, of which function. Its record is written by then.
    Ended(ExecutionId, FunctionName),
}

/// Encodes it for the control plane.
pub(crate) fn to_proto(event: WatchEvent) -> proto::WatchEvent {
    let event = match event {
        WatchEvent::Running(executions) => Event::Running(proto::RunningExecutions {
            executions: executions
                .into_iter()
                .map(|(execution, function)| proto::RunningExecution {
                    execution_id: execution.to_string(),
                    function_name: function.to_string(),
                })
                .collect(),
        }),
        WatchEvent::Ended(execution, function) => Event::Ended(proto::EndedExecution {
            execution_id: execution.to_string(),
            function_name: function.to_string(),
        }),
    };
    proto::WatchEvent { event: Some(event) }
}

/// From an agent.
///
/// # Errors
/// The first field that breaks its rule.
pub(crate) fn from_proto(message: proto::WatchEvent) -> Result<WatchEvent, WireError> {
    Ok(match message.event {
        Some(Event::Running(running)) => WatchEvent::Running(
            running
                .executions
                .into_iter()
                .map(|it| Ok((it.execution_id.parse()?, it.function_name.parse()?)))
                .collect::<Result<_, WireError>>()?,
        ),
        Some(Event::Ended(ended)) => {
            WatchEvent::Ended(ended.execution_id.parse()?, ended.function_name.parse()?)
        }
        None => return Err(WireError::Missing { field: "event" }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_wire() {
        let id = ExecutionId::generate();
        let name = FunctionName::new("f").expect("name");
        for event in [
            WatchEvent::Running(vec![(id.clone(), name.clone())]),
            WatchEvent::Running(Vec::new()),
            WatchEvent::Ended(id, name),
        ] {
            assert_eq!(from_proto(to_proto(event.clone())).expect("event"), event);
        }
        assert!(from_proto(proto::WatchEvent::default()).is_err());
    }
}
