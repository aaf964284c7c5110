//! What a service needs to answer calls without ever blocking a completion-queue thread.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_executor::block_on;
use futures_util::{Sink, SinkExt, StreamExt};
use grpcio::{
    ClientStreamingSink, RequestStream, RpcContext, ServerStreamingSink, UnarySink, WriteFlags,
};

use super::environment::is_poll_thread;
use super::status::Refusal;
use crate::base::cancel::{Cancel, Trigger, pair};
use crate::base::causes::with_causes;
use crate::base::threads::lock;
use crate::wire::proto::{self, release_chunk::Part};

/// The one answer to a call, which whoever comes first may give: a pool's thread, or the
/// completion-queue thread that finds the pool full. Dropped unanswered, it ends the call.
pub(crate) struct Reply<T> {
    sink: Arc<Mutex<Option<UnarySink<T>>>>,
}

impl<T> Clone for Reply<T> {
    fn clone(&self) -> Reply<T> {
        Reply {
            sink: Arc::clone(&self.sink),
        }
    }
}

impl<T: Send + 'static> Reply<T> {
    /// Of a call.
    pub(crate) fn new(sink: UnarySink<T>) -> Reply<T> {
        Reply {
            sink: Arc::new(Mutex::new(Some(sink))),
        }
    }

    /// Answers, and waits until the answer is on its way. A second answer is ignored, and so is
    /// a caller that has left. Not for completion-queue threads: see [`Reply::send_from`].
    pub(crate) fn send(&self, answer: Result<T, Refusal>) {
        debug_assert!(!is_poll_thread(), "would wait for itself");
        let Some(sink) = lock(&self.sink).take() else {
            return;
        };
        let sent = match answer {
            Ok(answer) => block_on(sink.success(answer)),
            Err(refusal) => block_on(sink.fail(refusal.to_status())),
        };
        note_left(sent);
    }

    /// Answers from the completion-queue thread that handles the call.
    pub(crate) fn send_from(&self, context: &RpcContext<'_>, answer: Result<T, Refusal>) {
        let Some(sink) = lock(&self.sink).take() else {
            return;
        };
        let sent = match answer {
            Ok(answer) => sink.success(answer),
            Err(refusal) => sink.fail(refusal.to_status()),
        };
        context.spawn(async move {
            note_left(sent.await);
        });
    }
}

/// Whether the caller must hand an answer to another thread: see [`Reply::send`].
pub(crate) fn must_not_block() -> bool {
    is_poll_thread()
}

/// An archive as it comes in: reads exactly as many bytes as its header announces. More and
/// fewer are errors.
pub(crate) struct ArchiveStream {
    stream: RequestStream<proto::ReleaseChunk>,
    piece: Vec<u8>,
    position: usize,
    missing: u64,
}

impl ArchiveStream {
    /// Reads nothing yet. Keep it until the call is answered: dropped unread, it cancels the call.
    pub(crate) fn new(stream: RequestStream<proto::ReleaseChunk>) -> ArchiveStream {
        ArchiveStream {
            stream,
            piece: Vec::new(),
            position: 0,
            missing: 0,
        }
    }

    /// Reads the header, which comes first; to be called once, before reading.
    ///
    /// # Errors
    /// When something else comes first, or the caller left.
    pub(crate) fn header(&mut self) -> io::Result<proto::ReleaseHeader> {
        match next_part(&mut self.stream)? {
            Some(Part::Header(header)) => {
                self.missing = u64::try_from(header.size_bytes).unwrap_or(0);
                Ok(header)
            }
            Some(Part::Data(_)) | None => Err(invalid("the release does not begin with a header")),
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.position = 0;
        self.piece = match next_part(&mut self.stream)? {
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

/// Answers a pushed release, on a thread that may block.
pub(crate) fn answer_push(
    sink: ClientStreamingSink<proto::DeploymentAck>,
    answer: Result<proto::DeploymentAck, Refusal>,
) {
    let sent = match answer {
        Ok(answer) => block_on(sink.success(answer)),
        Err(refusal) => block_on(sink.fail(refusal.to_status())),
    };
    note_left(sent);
}

/// Notes that an answer did not arrive, which is nobody's fault: its caller left first.
pub(crate) fn note_left(sent: grpcio::Result<()>) {
    if let Err(error) = sent {
        log::debug!("the caller left before its answer: {}", with_causes(&error));
    }
}

/// Events to a follower, on a thread that may block. Knows when the follower leaves, also while
/// nothing is sent.
pub(crate) struct EventSink<M> {
    sink: ServerStreamingSink<M>,
    left: Trigger,
    cancel: Cancel,
}

struct PullOnWake(Trigger);

impl Wake for PullOnWake {
    fn wake(self: Arc<Self>) {
        self.0.pull();
    }
}

impl<M: Send + 'static> EventSink<M> {
    /// Of a call.
    pub(crate) fn new(sink: ServerStreamingSink<M>) -> EventSink<M> {
        let (left, cancel) = pair();
        let mut events = EventSink { sink, left, cancel };
        events.watch();
        events
    }

    /// Pulled when the follower has left.
    pub(crate) fn left(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Sends, as fast as the follower takes it; `Break` once it has left.
    pub(crate) fn send(&mut self, message: M) -> ControlFlow<()> {
        // The library must not be asked again about a call that has ended.
        if self.cancel.is_pulled() {
            return ControlFlow::Break(());
        }
        if block_on(self.sink.send((message, WriteFlags::default()))).is_err() {
            self.left.pull();
            return ControlFlow::Break(());
        }
        self.watch();
        if self.cancel.is_pulled() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Ends the stream, with a status if it did not go well.
    pub(crate) fn finish(mut self, result: Result<(), Refusal>) {
        if self.cancel.is_pulled() {
            return;
        }
        let ended = match result {
            Ok(()) => block_on(self.sink.close()),
            Err(refusal) => block_on(self.sink.fail(refusal.to_status())),
        };
        if let Err(error) = ended {
            log::debug!("the follower left before the end: {}", with_causes(&error));
        }
    }

    /// With nothing in flight, the only thing that the sink can wake for is the call's end. Each
    /// blocking send puts its own waker in this one's place.
    fn watch(&mut self) {
        let waker = Waker::from(Arc::new(PullOnWake(self.left.clone())));
        let mut context = Context::from_waker(&waker);
        if let Poll::Ready(Err(_)) = Pin::new(&mut self.sink).poll_ready(&mut context) {
            self.left.pull();
        }
    }
}

fn next_part(stream: &mut RequestStream<proto::ReleaseChunk>) -> io::Result<Option<Part>> {
    match block_on(stream.next()) {
        None => Ok(None),
        Some(Ok(chunk)) => chunk
            .part
            .map(Some)
            .ok_or_else(|| invalid("the release has an empty piece")),
        Some(Err(error)) => Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            // Has its cause in its text already.
            error.to_string(),
        )),
    }
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
