//! What a service answers calls with.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use prost::Message;

use super::grpc::framing::framed;
use super::grpc::status::{Code, Status};
use super::h2::link::Over;
use super::h2::requests::{Messages, Responder, Undo};
use super::status::Refusal;
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;
use crate::base::threads::lock;
use crate::wire::method::Method;
use crate::wire::proto::{self, release_chunk::Part};

pub use super::h2::requests::Incoming;

/// The one answer to a call, which whoever comes first may give: a pool's thread, or the one that finds the
/// pool full. Dropped unanswered, it ends the call.
pub struct Reply<A> {
    responder: Arc<Mutex<Option<Responder>>>,
    answers: std::marker::PhantomData<fn(A)>,
}

impl<A> Clone for Reply<A> {
    fn clone(&self) -> Reply<A> {
        Reply {
            responder: Arc::clone(&self.responder),
            answers: self.answers,
        }
    }
}

impl<A: Message> Reply<A> {
    /// Has `undo` done, on a thread that must not wait, should the caller cancel before he is answered. `Break`
    /// when he has left.
    pub fn on_cancel(&self, undo: Undo) -> ControlFlow<()> {
        let responder = lock(&self.responder);
        let is_there = responder
            .as_ref()
            .map(|responder| responder.on_cancel(undo));
        match is_there {
            Some(Ok(())) => ControlFlow::Continue(()),
            Some(Err(Over)) | None => ControlFlow::Break(()),
        }
    }

    /// Answers, and does not wait for it to arrive. A second answer is ignored, and so is a caller that has
    /// left.
    pub fn send(&self, answer: Result<A, Refusal>) {
        let Some(responder) = lock(&self.responder).take() else {
            return;
        };
        let sent = match answer {
            Ok(answer) => responder.answer(framed(&answer)),
            Err(refusal) => responder.end(&refusal.to_status()),
        };
        note_left(&sent);
    }
}

/// A call with one request and one answer, as the method's types; `None`, and answered, where the request is
/// none of its type.
pub fn unary<Q: Message + Default, A>(
    _: Method<Q, A>,
    incoming: Incoming,
) -> Option<(Q, Reply<A>)> {
    let (request, responder) = decoded(incoming)?;
    let reply = Reply {
        responder: Arc::new(Mutex::new(Some(responder))),
        answers: std::marker::PhantomData,
    };
    Some((request, reply))
}

/// The same for a call with many answers.
pub(crate) fn streaming_out<Q: Message + Default, A>(
    _: Method<Q, A>,
    incoming: Incoming,
) -> Option<(Q, EventSink<A>)> {
    let (request, responder) = decoded(incoming)?;
    Some((
        request,
        EventSink {
            responder,
            events: std::marker::PhantomData,
        },
    ))
}

fn decoded<Q: Message + Default>(incoming: Incoming) -> Option<(Q, Responder)> {
    match Q::decode(&*incoming.message) {
        Ok(request) => Some((request, incoming.responder)),
        Err(error) => {
            let text = format!("the request cannot be decoded: {}", with_causes(&error));
            note_left(&incoming.responder.end(&Status::new(Code::Internal, text)));
            None
        }
    }
}

/// A release that is pushed: its archive, and how to answer.
pub(crate) struct Pushed {
    /// As it comes in.
    pub archive: ArchiveStream,
    responder: Responder,
}

impl Pushed {
    /// Of a call whose messages stream in.
    pub(crate) fn new(incoming: Incoming) -> Option<Pushed> {
        Some(Pushed {
            archive: ArchiveStream {
                messages: incoming.messages?,
                piece: Vec::new(),
                position: 0,
                missing: 0,
            },
            responder: incoming.responder,
        })
    }

    /// Answers.
    pub(crate) fn answer(self, answer: Result<proto::DeploymentAck, Refusal>) {
        note_left(&match answer {
            Ok(answer) => self.responder.answer(framed(&answer)),
            Err(refusal) => self.responder.end(&refusal.to_status()),
        });
    }
}

/// An archive as it comes in: reads exactly as many bytes as its header announces. More and
/// fewer are errors.
pub(crate) struct ArchiveStream {
    messages: Messages,
    piece: Vec<u8>,
    position: usize,
    missing: u64,
}

impl ArchiveStream {
    /// Reads the header, which comes first; to be called once, before reading.
    ///
    /// # Errors
    /// When something else comes first, or the caller left.
    pub(crate) fn header(&mut self) -> io::Result<proto::ReleaseHeader> {
        match self.next_part()? {
            Some(Part::Header(header)) => {
                self.missing = u64::try_from(header.size_bytes).unwrap_or(0);
                Ok(header)
            }
            Some(Part::Data(_)) | None => Err(invalid("the release does not begin with a header")),
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.position = 0;
        self.piece = match self.next_part()? {
            Some(Part::Data(data)) => data,
            Some(Part::Header(_)) => return Err(invalid("the release has two headers")),
            None if self.missing == 0 => Vec::new(),
            None => {
                let text = format!("the archive ends {} bytes early", self.missing);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
        };
        self.missing = self
            .missing
            .checked_sub(self.piece.len() as u64)
            .ok_or_else(|| invalid("the archive is longer than its header says"))?;
        Ok(())
    }

    fn next_part(&self) -> io::Result<Option<Part>> {
        let gone = |Over| io::Error::from(io::ErrorKind::ConnectionAborted);
        let Some(bytes) = self.messages.next().map_err(gone)? else {
            return Ok(None);
        };
        proto::ReleaseChunk::decode(&*bytes)
            .ok()
            .and_then(|chunk| chunk.part)
            .map(Some)
            .ok_or_else(|| invalid("the release has a piece that cannot be read"))
    }
}

impl Read for ArchiveStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.piece.len() {
            self.refill()?;
        }
        let mut rest = &self.piece[self.position..];
        let count = rest.read(buffer)?;
        self.position += count;
        Ok(count)
    }
}

/// Events to a follower, on a thread that may wait. Knows when the follower leaves, also while
/// nothing is sent.
pub(crate) struct EventSink<M> {
    responder: Responder,
    events: std::marker::PhantomData<fn(M)>,
}

impl<M: Message> EventSink<M> {
    /// Pulled when the follower has left.
    pub(crate) fn left(&self) -> Cancel {
        self.responder.left().clone()
    }

    /// Sends, as fast as the follower takes it; `Break` once it has left.
    pub(crate) fn send(&mut self, message: &M) -> ControlFlow<()> {
        match self.responder.send(framed(message)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(Over) => ControlFlow::Break(()),
        }
    }

    /// Ends the stream, with a status if it did not go well.
    pub(crate) fn finish(self, result: Result<(), Refusal>) {
        let status = match result {
            Ok(()) => Status::new(Code::Ok, ""),
            Err(refusal) => refusal.to_status(),
        };
        note_left(&self.responder.end(&status));
    }
}

fn note_left(sent: &Result<(), Over>) {
    if sent.is_err() {
        log::debug!("a caller left before its answer");
    }
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
