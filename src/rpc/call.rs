//! One call: what is sent, and who waits for what comes back.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use prost::Message;

use super::channel::Channel;
use super::error::RpcError;
use super::grpc::framing::framed;
use super::grpc::metadata;
use super::h2::calls::{Answers, Arrived, Calls, Deliver, Failure, NewCall, deadline_of};
use super::h2::link::Link;
use super::h2::session::{Code, StreamId};
use crate::wire::method::Method;

/// How a call is to be made.
pub(super) struct Sending<'a, Q, A> {
    channel: &'a Channel,
    method: Method<Q, A>,
    timeout: Option<Duration>,
}

/// What a call with one answer came to.
pub(super) type Answered = Result<Vec<u8>, Failure>;

impl<'a, Q: Message, A: Message + Default> Sending<'a, Q, A> {
    /// Without a deadline.
    pub(super) fn new(channel: &'a Channel, method: Method<Q, A>) -> Sending<'a, Q, A> {
        Sending {
            channel,
            method,
            timeout: None,
        }
    }

    /// The call is given up after this.
    pub(super) fn within(self, timeout: Duration) -> Sending<'a, Q, A> {
        Sending {
            timeout: Some(timeout),
            ..self
        }
    }

    /// Sends a request and waits for its answer.
    pub(super) fn call(&self, link: &Link<Calls>, request: &Q) -> Result<A, RpcError> {
        let (sender, answer) = bounded(1);
        let stream = self.start(link, Some(request), Answers::One, one_answer(sender))?;
        // By the caller and not by the link's reader, whom nobody has to wake up for it.
        let answered = match deadline_of(self.timeout) {
            Some(deadline) => answer.recv_deadline(deadline),
            None => answer.recv().map_err(RecvTimeoutError::from),
        };
        if answered == Err(RecvTimeoutError::Timeout) {
            cancel(link, stream);
            return Err(RpcError::Deadline);
        }
        understood(answered.unwrap_or_else(|_| Err(taken_down())))
    }

    /// Sends a request, or, where there is none, just begins; `deliver` gets what comes back.
    pub(super) fn start(
        &self,
        link: &Link<Calls>,
        request: Option<&Q>,
        answers: Answers,
        deliver: Deliver,
    ) -> Result<StreamId, RpcError> {
        let (scheme, authority) = self.channel.names();
        let call = NewCall {
            headers: metadata::request(scheme, authority, self.method.path, self.timeout),
            first: request.map(framed).unwrap_or_default(),
            is_whole: request.is_some(),
            deadline: None,
            answers,
            deliver,
        };
        Channel::start(link, call)
    }

    /// The same for who waits elsewhere: the link ends the call at its deadline.
    pub(super) fn start_with_deadline(
        &self,
        link: &Link<Calls>,
        request: &Q,
    ) -> Result<(StreamId, Receiver<Answered>), RpcError> {
        let (scheme, authority) = self.channel.names();
        let (sender, answer) = bounded(1);
        let call = NewCall {
            headers: metadata::request(scheme, authority, self.method.path, self.timeout),
            first: framed(request),
            is_whole: true,
            deadline: deadline_of(self.timeout),
            answers: Answers::One,
            deliver: one_answer(sender),
        };
        Ok((Channel::start(link, call)?, answer))
    }
}

/// Keeps the message, and sends it on once the call is over: an answer counts with its status only.
pub(super) fn one_answer(sender: Sender<Answered>) -> Deliver {
    let mut message = None;
    Box::new(move |arrived| {
        match arrived {
            Arrived::Message { bytes, .. } => message = Some(bytes),
            Arrived::Over(result) => {
                let answer = result.and_then(|()| message.take().ok_or_else(no_answer));
                // Nobody waits any more.
                let _ = sender.send(answer);
            }
        }
        true
    })
}

/// Cancels a call: the other end is to stop what it does for it.
pub(super) fn cancel(link: &Link<Calls>, stream: StreamId) {
    let _ = link.with(|session, calls| calls.give_up(session, stream, Code::Cancel));
}

/// Gives up on the answer of a call: the other end goes on with what it does.
pub(super) fn leave(link: &Link<Calls>, stream: StreamId) {
    let _ = link.with(|session, calls| calls.give_up(session, stream, Code::None));
}

/// An answer as a message.
pub(super) fn understood<A: Message + Default>(answered: Answered) -> Result<A, RpcError> {
    let bytes = answered.map_err(RpcError::of_failure)?;
    A::decode(&*bytes).map_err(|source| RpcError::Garbled { source })
}

pub(super) fn taken_down() -> Failure {
    Failure::Broken("the client was taken down".to_owned())
}

fn no_answer() -> Failure {
    Failure::Broken("the call ended well and without an answer".to_owned())
}
