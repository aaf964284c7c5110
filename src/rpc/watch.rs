//! Watching what an agent signals, for as long as the connection lives.

use std::fmt;
use std::sync::Arc;

use prost::Message;

use super::call::{Sending, cancel};
use super::channel::{Channel, Patience};
use super::client::AgentClient;
use super::error::RpcError;
use super::h2::calls::{Answers, Arrived, Calls};
use super::h2::link::Link;
use super::h2::session::StreamId;
use crate::wire::proto;
use crate::wire::watch::{WatchEvent, from_proto};

/// A feed that is being watched. Dropping it ends the watching.
pub struct Watch {
    link: Arc<Link<Calls>>,
    stream: StreamId,
    /// Kept open.
    _channel: Channel,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl AgentClient {
    /// Starts to watch. `deliver` is called on the thread that reads the connection, so it must neither block nor
    /// call the agent: with every event in order, and once with the reason for the end of the feed. It ends the
    /// feed by answering `false`.
    ///
    /// # Errors
    /// [`RpcError::Unreachable`]. What the agent has to say, also that it does not know this
    /// call, is delivered.
    pub fn watch(
        &self,
        mut deliver: impl FnMut(Result<WatchEvent, RpcError>) -> bool + Send + 'static,
    ) -> Result<Watch, RpcError> {
        let channel = self.channel();
        let link = channel.ready(Patience::UntilBound)?;
        let deliver = Box::new(move |arrived| {
            let event = understood(arrived);
            let is_last = event.is_err();
            deliver(event) && !is_last
        });
        let sending = Sending::new(channel, proto::WATCH_EXECUTIONS);
        let stream = sending.start(&link, Some(&proto::WatchRequest {}), Answers::Many, deliver)?;
        Ok(Watch {
            link,
            stream,
            _channel: channel.clone(),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        cancel(&self.link, self.stream);
    }
}

fn understood(arrived: Arrived) -> Result<WatchEvent, RpcError> {
    match arrived {
        Arrived::Message { bytes, .. } => {
            let event = proto::WatchEvent::decode(&*bytes);
            let event = event.map_err(|source| RpcError::Garbled { source })?;
            Ok(from_proto(event)?)
        }
        Arrived::Over(Err(failure)) => Err(RpcError::of_failure(failure)),
        Arrived::Over(Ok(())) => Err(RpcError::Interrupted {
            message: "the agent ended its feed".to_owned(),
        }),
    }
}
