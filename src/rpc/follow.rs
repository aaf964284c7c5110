//! Watching an execution: output as it is produced, then its record.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, at, never, select, unbounded};
use prost::Message;

use super::call::{Sending, cancel, taken_down};
use super::channel::{Channel, Patience};
use super::client::AgentClient;
use super::error::RpcError;
use super::h2::calls::{Answers, Arrived, Calls};
use super::h2::link::Link;
use super::h2::session::StreamId;
use crate::base::cancel::Cancel;
use crate::model::ids::{AgentId, ExecutionId};
use crate::wire::execution::check_origin;
use crate::wire::output::{FollowEvent, event_from_proto};
use crate::wire::proto;

/// A stream of events. Dropping it ends the call; the execution goes on.
pub struct Follower {
    /// Bounded by the stream's window: what is not taken holds the agent back.
    arrived: Receiver<Arrived>,
    link: Arc<Link<Calls>>,
    stream: StreamId,
    /// Kept open.
    _channel: Channel,
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
        let channel = self.channel();
        let link = channel.ready(Patience::UntilBound)?;
        let request = proto::FollowRequest {
            execution_id: execution.to_string(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
        };
        let (sender, arrived) = unbounded();
        let deliver = Box::new(move |event| sender.send(event).is_ok());
        let sending = Sending::new(channel, proto::FOLLOW_EXECUTION);
        let stream = sending.start(&link, Some(&request), Answers::HeldBack, deliver)?;
        Ok(Follower {
            arrived,
            link,
            stream,
            _channel: channel.clone(),
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
        let timer = deadline.map_or_else(never, at);
        let arrived = select! {
            recv(self.arrived) -> arrived => arrived,
            recv(cancel.receiver()) -> _ => return Ok(Next::Cancelled),
            recv(timer) -> _ => return Ok(Next::TimedOut),
        };
        let arrived = arrived.unwrap_or_else(|_| Arrived::Over(Err(taken_down())));
        let event = self.understood(arrived);
        self.is_over = !matches!(event, Ok(FollowEvent::Output(_)));
        event.map(Next::Event)
    }

    fn understood(&self, arrived: Arrived) -> Result<FollowEvent, RpcError> {
        let (bytes, owed) = match arrived {
            Arrived::Message { bytes, owed } => (bytes, owed),
            Arrived::Over(Err(failure)) => return Err(RpcError::of_failure(failure)),
            Arrived::Over(Ok(())) => {
                return Err(RpcError::Interrupted {
                    message: "the agent ended the stream without a record".to_owned(),
                });
            }
        };
        let stream = self.stream;
        // A link that is over has nothing more to give.
        let _ = self
            .link
            .with(|session, calls| calls.taken(session, stream, owed));
        let event = proto::FollowEvent::decode(&*bytes);
        let event = event_from_proto(event.map_err(|source| RpcError::Garbled { source })?)?;
        if let FollowEvent::Ended(record) = &event {
            check_origin(record, &self.execution, &self.agent)?;
        }
        Ok(event)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        cancel(&self.link, self.stream);
    }
}
