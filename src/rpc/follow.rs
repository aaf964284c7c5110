//! Watching an execution: output as it is produced, then its record.

use std::pin::Pin;
use std::time::Instant;

use futures_util::Stream;
use grpcio::{CallOption, ClientSStreamReceiver};

use super::client::{AgentClient, Patience};
use super::error::RpcError;
use super::wait::{Waited, wait_for};
use crate::base::cancel::Cancel;
use crate::model::ids::{AgentId, ExecutionId};
use crate::wire::execution::check_origin;
use crate::wire::output::{FollowEvent, event_from_proto};
use crate::wire::proto;

/// A stream of events. Dropping it ends the call; the execution goes on.
pub struct Follower {
    stream: ClientSStreamReceiver<proto::FollowEvent>,
    execution: ExecutionId,
    agent: AgentId,
    is_over: bool,
}

/// What a wait for an event came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Output, or the end.
    Event(FollowEvent),
    /// The record was the event before.
    Over,
    /// The cancel was pulled first.
    Cancelled,
    /// The deadline passed first; the next call goes on where this one left.
    TimedOut,
}

impl AgentClient {
    /// Follows from a position in the merged output.
    ///
    /// # Errors
    /// [`RpcError::Unreachable`]. What the agent has to say, also that it does not know this
    /// call, comes with the first [`Follower::next`].
    pub fn follow(&self, execution: &ExecutionId, offset: u64) -> Result<Follower, RpcError> {
        self.ready(Patience::UntilBound)?;
        let request = proto::FollowRequest {
            execution_id: execution.to_string(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
        };
        let stream = self
            .stub()
            .follow_execution_opt(&request, CallOption::default())
            .map_err(RpcError::of_start)?;
        Ok(Follower {
            stream,
            execution: execution.clone(),
            agent: self.agent().clone(),
            is_over: false,
        })
    }
}

impl Follower {
    /// Waits for the next event. Until it is asked for, the agent is held back by flow control.
    ///
    /// # Errors
    /// [`RpcError::Interrupted`] also when the stream ends without a record; every error is the
    /// last thing that comes.
    pub fn next(&mut self, cancel: &Cancel, deadline: Option<Instant>) -> Result<Next, RpcError> {
        if self.is_over {
            return Ok(Next::Over);
        }
        let stream = &mut self.stream;
        let polled = wait_for(
            |context| Pin::new(&mut *stream).poll_next(context),
            cancel,
            deadline,
        );
        let event = match polled {
            Waited::Cancelled => return Ok(Next::Cancelled),
            Waited::TimedOut => return Ok(Next::TimedOut),
            Waited::Done(event) => event,
        };
        let event = self.checked(event);
        self.is_over = !matches!(event, Ok(FollowEvent::Output(_)));
        event.map(Next::Event)
    }

    fn checked(
        &self,
        event: Option<grpcio::Result<proto::FollowEvent>>,
    ) -> Result<FollowEvent, RpcError> {
        let event = event.ok_or_else(|| RpcError::Interrupted {
            message: "the agent ended the stream without a record".to_owned(),
        })?;
        let event = event_from_proto(event.map_err(RpcError::of_call)?)?;
        if let FollowEvent::Ended(record) = &event {
            check_origin(record, &self.execution, &self.agent)?;
        }
        Ok(event)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stream.cancel();
    }
}
