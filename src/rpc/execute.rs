//! The longest and hottest call: started without a thread of its own, waited for together with
//! whatever else its caller waits for.

use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, select};
use futures_util::future::{AbortHandle, Abortable};
use grpcio::CallOption;

use super::client::{AgentClient, Patience, fits};
use super::error::RpcError;
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
    answer: Receiver<Result<Executed, RpcError>>,
    abort: AbortHandle,
}

impl PendingExecution {
    /// For `select!`: gets exactly one value, or is disconnected when the client is taken down,
    /// which means the same as [`RpcError::Interrupted`].
    pub fn receiver(&self) -> &Receiver<Result<Executed, RpcError>> {
        &self.answer
    }

    /// Waits for the answer; `None` once `cancel` is pulled.
    pub fn wait(&self, cancel: &Cancel) -> Option<Result<Executed, RpcError>> {
        select! {
            recv(self.answer) -> answer => Some(answer.unwrap_or_else(|_| Err(taken_down()))),
            recv(cancel.receiver()) -> _ => None,
        }
    }
}

impl Drop for PendingExecution {
    fn drop(&mut self) {
        // Does nothing to a call that has ended.
        self.abort.abort();
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
        self.ready(Patience::FailFast)?;
        let option = deadline.map_or_else(CallOption::default, |deadline| {
            CallOption::default().timeout(deadline)
        });
        let stub = self.stub();
        let call = stub
            .execute_function_async_opt(&message, option)
            .map_err(RpcError::of_start)?;
        let (sender, answer) = bounded(1);
        let (abort, registration) = AbortHandle::new_pair();
        let delivery = async move {
            let result = call.await.map_err(RpcError::of_call);
            // The receiver is gone when nobody waits any more.
            let _ = sender.send(result.and_then(|response| understood(&asked, response)));
        };
        let delivery = Abortable::new(delivery, registration);
        stub.client.spawn(async move {
            let _ = delivery.await;
        });
        Ok(PendingExecution { answer, abort })
    }
}

fn understood(asked: &Asked, response: proto::ExecutionResponse) -> Result<Executed, RpcError> {
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

fn taken_down() -> RpcError {
    RpcError::Interrupted {
        message: "the client was taken down".to_owned(),
    }
}
