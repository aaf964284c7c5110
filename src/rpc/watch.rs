//! Watching what an agent signals, for as long as the connection lives.

use futures_util::future::{AbortHandle, Abortable};
use futures_util::{FutureExt, StreamExt};
use grpcio::CallOption;

use super::client::{AgentClient, Patience};
use super::error::RpcError;
use crate::wire::proto;
use crate::wire::watch::{WatchEvent, from_proto};

/// A feed that is being watched. Dropping it ends the watching.
#[derive(Debug)]
pub struct Watch {
    abort: AbortHandle,
}

impl AgentClient {
    /// Starts to watch. `deliver` is called on a completion-queue thread, so it must not block:
    /// with every event in order, and once with the reason for the end of the feed. It ends the
    /// feed by answering `false`.
    ///
    /// # Errors
    /// [`RpcError::Unreachable`]. What the agent has to say, also that it does not know this
    /// call, is delivered.
    pub fn watch(
        &self,
        mut deliver: impl FnMut(Result<WatchEvent, RpcError>) -> bool + Send + 'static,
    ) -> Result<Watch, RpcError> {
        self.ready(Patience::UntilBound)?;
        let mut stream = self
            .stub()
            .watch_executions_opt(&proto::WatchRequest {}, CallOption::default())
            .map_err(RpcError::of_start)?;
        let (abort, registration) = AbortHandle::new_pair();
        let feed = async move {
            while let Some(event) = stream.next().await {
                let event = event
                    .map_err(RpcError::of_call)
                    .and_then(|event| Ok(from_proto(event)?));
                let is_last = event.is_err();
                if !deliver(event) || is_last {
                    return;
                }
            }
            deliver(Err(RpcError::Interrupted {
                message: "the agent ended its feed".to_owned(),
            }));
        };
        self.stub()
            .spawn(Abortable::new(feed, registration).map(drop));
        Ok(Watch { abort })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.abort.abort();
    }
}
