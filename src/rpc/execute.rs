//! The longest and hottest call: started without a thread of its own, waited for together with
//! whatever else its caller waits for.

use std::time::Duration;

use std::sync::Arc;

use crossbeam_channel::{Receiver, select};

use super::call::{Answered, Sending, leave, taken_down, understood};
use super::channel::{Channel, Patience};
use super::client::{AgentClient, fits};
use super::error::RpcError;
use super::h2::calls::Calls;
use super::h2::link::Link;
use super::h2::session::StreamId;
use super::legacy::{self, Asked};
use super::limits::{ACCEPT_DEADLINE, EXECUTE_MARGIN};
use crate::base::cancel::Cancel;
use crate::base::clock::Timestamp;
use crate::model::execution::Executed;
use crate::wire::execute::{ExecuteRequest, Protocol, request_to_proto};
use crate::wire::execution::{check_origin, record_from_proto};
use crate::wire::output::output_from_proto;
use crate::wire::proto;

/// A call that is on its way. Dropping it gives up on the answer; the execution itself goes on
/// until it ends or is cancelled.
pub struct PendingExecution {
    answer: Receiver<Answered>,
    asked: Asked,
    link: Arc<Link<Calls>>,
    stream: StreamId,
    /// Kept open.
    _channel: Channel,
}

impl PendingExecution {
    /// Waits for the answer; `None` once `gone` is pulled. To be asked until it has answered.
    pub fn wait(&self, gone: &Cancel) -> Option<Result<Executed, RpcError>> {
        let answered = select! {
            recv(self.answer) -> answer => answer.unwrap_or_else(|_| Err(taken_down())),
            recv(gone.receiver()) -> _ => return None,
        };
        let response = understood::<proto::ExecutionResponse>(answered);
        Some(response.and_then(|response| executed(&self.asked, response)))
    }
}

impl Drop for PendingExecution {
    fn drop(&mut self) {
        // Does nothing to a call that has ended.
        leave(&self.link, self.stream);
    }
}

impl AgentClient {
    /// Sends a request. `timeout` is the time after which the agent itself ends the execution;
    /// without one the call has no deadline, and only a broken connection ends it early. `now` stands
    /// in for the times that a legacy agent leaves out.
    ///
    /// # Errors
    /// Only those after which nothing has started: [`RpcError::Unreachable`] and
    /// [`RpcError::TooLarge`]. All others come through the receiver.
    pub fn start_execute(
        &self,
        mut request: ExecuteRequest,
        timeout: Option<Duration>,
        now: Timestamp,
    ) -> Result<PendingExecution, RpcError> {
        request.protocol = Protocol::Flux;
        let asked = Asked {
            agent: self.agent().clone(),
            function: request.function.clone(),
            id: request.id.clone(),
            asynchronous: request.asynchronous,
            at: now,
            queued: request.queued,
        };
        let deadline = if request.asynchronous {
            Some(ACCEPT_DEADLINE)
        } else {
            timeout.map(|timeout| timeout + EXECUTE_MARGIN)
        };
        let message = request_to_proto(request);
        fits(&message)?;
        let channel = self.channel();
        let link = channel.ready(Patience::FailFast)?;
        let sending = Sending::new(channel, proto::EXECUTE_FUNCTION);
        let sending = match deadline {
            Some(deadline) => sending.within(deadline),
            None => sending,
        };
        let (stream, answer) = sending.start_with_deadline(&link, &message)?;
        Ok(PendingExecution {
            answer,
            asked,
            link,
            stream,
            _channel: channel.clone(),
        })
    }
}

fn executed(asked: &Asked, response: proto::ExecutionResponse) -> Result<Executed, RpcError> {
    let Some(record) = response.record else {
        return legacy::executed(asked, response);
    };
    let record = record_from_proto(record)?;
    check_origin(&record, &asked.id, &asked.agent)?;
    Ok(Executed {
        record,
        output: output_from_proto(response.output, response.output_changes)?,
    })
}
