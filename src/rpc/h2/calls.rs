//! A client's streams: each is one call.
//!
//! Invariants: every call is told of its end exactly once, whatever ends it: its status, its deadline, the
//! other end's reset, the connection. What arrives for a call that is over is given back and forgotten.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::credit::{Credit, Owed};
use super::deadlines::Deadlines;
use super::link::Streams;
use super::session::{Code as Http2Code, End, Event, Header, Session, SessionError, StreamId};
use crate::rpc::grpc::framing::Assembler;
use crate::rpc::grpc::metadata;
use crate::rpc::grpc::status::{Code, Status};
use crate::rpc::limits::{BUFFERED_MOST, MAX_MESSAGE_BYTES, MAX_STREAMS, QUEUED_MOST};

/// Told of what comes for a call; `false` gives it up. Called under the link's lock, mostly by its reader: must
/// not wait, and not call the link.
pub(in crate::rpc) type Deliver = Box<dyn FnMut(Arrived) -> bool + Send>;

/// See [`Calls::new`].
pub(in crate::rpc) type Up = Box<dyn FnOnce() -> bool + Send>;

/// What comes for a call.
#[derive(Debug)]
pub(in crate::rpc) enum Arrived {
    /// A message. `owed` goes to [`Calls::taken`], from who holds the other end back.
    Message { bytes: Vec<u8>, owed: Owed },
    /// Nothing more.
    Over(Result<(), Failure>),
}

/// Why a call has no good end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rpc) enum Failure {
    /// The other end says so.
    Status(Status),
    /// Its time was over first.
    Deadline,
    /// The other end has not looked at it (RFC 9113, section 8.7).
    NotTaken,
    /// The connection broke, or it was reset: whether it was carried out is unknown.
    Broken(String),
}

/// A call to be started.
pub(in crate::rpc) struct NewCall {
    pub headers: Vec<Header>,
    /// Framed messages that go out at once.
    pub first: Vec<u8>,
    /// There are no others.
    pub is_whole: bool,
    pub deadline: Option<Instant>,
    pub answers: Answers,
    pub deliver: Deliver,
}

/// Which messages a call is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rpc) enum Answers {
    /// One, which is kept until the call is over.
    One,
    /// Any number, taken as they come.
    Many,
    /// Any number; who takes one says so with [`Calls::taken`], and until then no more comes than a window.
    HeldBack,
}

/// The calls that are under way on one connection, by stream.
pub(in crate::rpc) struct Calls {
    calls: HashMap<StreamId, Call>,
    deadlines: Deadlines,
    /// Told once that the connection is up; says whether it is wanted still.
    up: Option<Up>,
    /// By when it has to be.
    up_by: Instant,
    is_leaving: bool,
    /// To be closed once no call is under way.
    is_retired: bool,
    buffered: usize,
}

struct Call {
    deliver: Deliver,
    assembler: Assembler,
    status: Option<Status>,
    credit: Credit,
    answers: Answers,
    is_sent: bool,
    room: Option<Sender<()>>,
}

impl Call {
    /// Memory that its messages take here.
    fn held(&self) -> usize {
        self.assembler.held() + self.credit.held()
    }

    /// How much of the window is given back for a message's last piece, and whether more messages are wanted.
    fn deliver(&mut self, message: Vec<u8>, last: usize) -> Result<(usize, bool), Status> {
        let (owed, given) = match self.answers {
            Answers::One if self.credit.waiting() > 0 => {
                let text = "the other end answers more than once";
                return Err(Status::new(Code::Internal, text));
            }
            Answers::One => (self.credit.message(message.len(), 0), last),
            Answers::Many => (Owed::default(), last),
            Answers::HeldBack => (self.credit.message(message.len(), last), 0),
        };
        let message = Arrived::Message {
            bytes: message,
            owed,
        };
        Ok((given, (self.deliver)(message)))
    }
}

impl Calls {
    /// `up` is called once the other end has said what it is like, which has to be before `up_by`.
    pub(in crate::rpc) fn new(up: Up, up_by: Instant) -> Calls {
        Calls {
            calls: HashMap::new(),
            deadlines: Deadlines::default(),
            up: Some(up),
            up_by,
            is_leaving: false,
            is_retired: false,
            buffered: 0,
        }
    }

    /// Whether the other end takes no more calls.
    pub(in crate::rpc) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Takes no more calls, and ends the connection with the last of those under way. Feeds, which have no end of
    /// their own, end now.
    pub(in crate::rpc) fn retire(session: &mut Session, calls: &mut Calls) {
        calls.is_leaving = true;
        calls.is_retired = true;
        let is_feed =
            |(stream, call): (&StreamId, &Call)| (call.answers == Answers::Many).then_some(*stream);
        let feeds: Vec<_> = calls.calls.iter().filter_map(is_feed).collect();
        for feed in feeds {
            let why = broken("the connection is replaced by another one");
            calls.end(session, feed, Err(why));
        }
        calls.end_if_done(session);
    }

    fn end_if_done(&self, session: &mut Session) {
        if self.is_retired && self.calls.is_empty() {
            // Out of memory shows with what is read next.
            let _ = session.terminate(Http2Code::None);
        }
    }

    /// Starts a call.
    ///
    /// # Errors
    /// Nothing was sent: the connection takes no more of them.
    pub(in crate::rpc) fn start(
        &mut self,
        session: &mut Session,
        call: NewCall,
    ) -> Result<StreamId, SessionError> {
        let held = session.held();
        let is_full = held > 0 && held + call.first.len() > QUEUED_MOST;
        if is_full || self.calls.len() >= MAX_STREAMS as usize {
            let message = "too many calls wait on this connection".to_owned();
            return Err(SessionError { message });
        }
        let stream = session.request(&call.headers)?;
        if !call.first.is_empty() {
            session.write(stream, call.first)?;
        }
        if call.is_whole {
            session.finish(stream, End::Bare)?;
        }
        if let Some(deadline) = call.deadline {
            self.deadlines.set(stream, deadline);
        }
        let known = Call {
            deliver: call.deliver,
            assembler: Assembler::new(MAX_MESSAGE_BYTES, Code::Internal),
            status: None,
            credit: Credit::default(),
            answers: call.answers,
            is_sent: call.is_whole,
            room: None,
        };
        self.calls.insert(stream, known);
        Ok(stream)
    }

    /// Adds a framed message to a call; `false` when it is over already. `room` gets something once another one
    /// has room.
    pub(in crate::rpc) fn send(
        &mut self,
        session: &mut Session,
        stream: StreamId,
        message: Vec<u8>,
        room: Sender<()>,
    ) -> Result<bool, SessionError> {
        let Some(call) = self.calls.get_mut(&stream) else {
            return Ok(false);
        };
        session.write(stream, message)?;
        call.room = Some(room);
        session.await_room(stream);
        Ok(true)
    }

    /// There are no more messages.
    pub(in crate::rpc) fn finish(
        &mut self,
        session: &mut Session,
        stream: StreamId,
    ) -> Result<(), SessionError> {
        if let Some(call) = self.calls.get_mut(&stream) {
            call.is_sent = true;
            session.finish(stream, End::Bare)?;
        }
        Ok(())
    }

    /// Gives a call up; nobody is told of its end any more. `code` tells the other end why.
    pub(in crate::rpc) fn give_up(
        &mut self,
        session: &mut Session,
        stream: StreamId,
        code: Http2Code,
    ) {
        if self.forget(stream).is_some() {
            // Out of memory shows with the next call.
            let _ = session.reset(stream, code);
        }
        self.end_if_done(session);
    }

    /// Somebody has taken a message, and more may come.
    pub(in crate::rpc) fn taken(&mut self, session: &mut Session, stream: StreamId, owed: Owed) {
        if let Some(call) = self.calls.get_mut(&stream) {
            let before = call.held();
            let given = call.credit.taken(owed);
            self.buffered = self.buffered + call.held() - before;
            let _ = session.take(stream, given);
        }
    }

    fn forget(&mut self, stream: StreamId) -> Option<Call> {
        let call = self.calls.remove(&stream)?;
        self.deadlines.forget(stream);
        self.buffered -= call.held();
        Some(call)
    }

    /// Tells of the end, and what is left of the stream.
    fn end(&mut self, session: &mut Session, stream: StreamId, result: Result<(), Failure>) {
        let Some(mut call) = self.forget(stream) else {
            return;
        };
        if !call.is_sent || result.is_err() {
            let _ = session.reset(stream, Http2Code::Cancel);
        }
        (call.deliver)(Arrived::Over(result));
        self.end_if_done(session);
    }

    fn headers(
        &mut self,
        session: &mut Session,
        stream: StreamId,
        headers: &[Header],
        is_first: bool,
    ) {
        let Some(call) = self.calls.get_mut(&stream) else {
            return;
        };
        let status = metadata::read_status(headers);
        if is_first && let Err(refused) = metadata::check_response(headers) {
            let status = status.unwrap_or(refused);
            return self.end(session, stream, Err(Failure::Status(status)));
        }
        if status.is_some() {
            call.status = status;
        }
    }

    fn data(&mut self, session: &mut Session, stream: StreamId, bytes: &[u8]) {
        let Some(call) = self.calls.get_mut(&stream) else {
            // Its stream is over for us, and its window nobody's concern.
            return;
        };
        let before = call.held();
        let mut rest = bytes;
        let mut given = 0;
        let mut wants_more = true;
        let result = loop {
            let length = rest.len();
            match call.assembler.take(&mut rest) {
                Ok(Some(message)) => match call.deliver(message, length - rest.len()) {
                    Ok((now, wants)) => {
                        given += now;
                        wants_more = wants;
                    }
                    Err(status) => break Err(status),
                },
                Ok(None) => {
                    given += call.credit.piece(length);
                    break Ok(());
                }
                Err(status) => break Err(status),
            }
            if !wants_more {
                break Ok(());
            }
        };
        self.buffered = self.buffered + call.held() - before;
        if !wants_more {
            return self.give_up(session, stream, Http2Code::Cancel);
        }
        let result = result.and_then(|()| {
            if self.buffered > BUFFERED_MOST {
                let text = "too much is under way on this connection";
                return Err(Status::new(Code::ResourceExhausted, text));
            }
            Ok(())
        });
        if let Err(status) = result {
            return self.end(session, stream, Err(Failure::Status(status)));
        }
        if given > 0 {
            let _ = session.take(stream, given);
        }
    }

    fn ended(&mut self, session: &mut Session, stream: StreamId) {
        let Some(call) = self.calls.get_mut(&stream) else {
            return;
        };
        let result = match call.status.take() {
            Some(status) if status.code != Code::Ok => Err(Failure::Status(status)),
            Some(_) if call.assembler.is_between_messages() => Ok(()),
            Some(_) => Err(broken("the other end stopped in the middle of a message")),
            None => Err(broken("the other end stopped without a status")),
        };
        self.end(session, stream, result);
    }
}

impl Streams for Calls {
    type Job = std::convert::Infallible;

    fn handle(&mut self, session: &mut Session, event: Event) {
        match event {
            Event::Ready => {
                if self.up.take().is_some_and(|up| !up()) {
                    let _ = session.terminate(Http2Code::None);
                }
            }
            Event::Headers {
                stream,
                headers,
                is_first,
            } => self.headers(session, stream, &headers, is_first),
            Event::Data { stream, bytes } => self.data(session, stream, &bytes),
            Event::Ended { stream } => self.ended(session, stream),
            Event::Closed { stream, code } => {
                let result = Err(closed(code));
                self.end(session, stream, result);
            }
            Event::Room { stream } => {
                let room = self
                    .calls
                    .get_mut(&stream)
                    .and_then(|call| call.room.take());
                if let Some(room) = room {
                    let _ = room.try_send(());
                }
            }
            Event::GoAway { .. } => self.is_leaving = true,
            Event::Ping | Event::Pong => {}
        }
    }

    fn due(&mut self, session: &mut Session, now: Instant) -> Option<Instant> {
        if self.up.is_some() {
            if now < self.up_by {
                return Some(self.up_by);
            }
            self.up = None;
            let _ = session.terminate(Http2Code::None);
        }
        while let Some(stream) = self.deadlines.take_due(now) {
            self.end(session, stream, Err(Failure::Deadline));
        }
        self.deadlines.next()
    }

    fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    fn over(&mut self, reason: &str) {
        self.up = None;
        self.is_leaving = true;
        self.deadlines.clear();
        for (_, mut call) in self.calls.drain() {
            (call.deliver)(Arrived::Over(Err(broken(reason))));
        }
        self.buffered = 0;
    }

    fn next_job(&mut self) -> Option<Self::Job> {
        None
    }

    fn outlives_the_link(job: &Self::Job) -> bool {
        match *job {}
    }
}

fn broken(reason: &str) -> Failure {
    Failure::Broken(reason.to_owned())
}

/// What a reset means (the standard, "Errors").
fn closed(code: u32) -> Failure {
    let (code, text) = match code {
        0x7 => return Failure::NotTaken,
        0x8 => (Code::Cancelled, "the other end gave the call up"),
        0xb => (Code::ResourceExhausted, "the other end takes no more calls"),
        0xc => (Code::PermissionDenied, "the other end wants more security"),
        _ => return Failure::Broken(format!("the other end reset the call with code {code}")),
    };
    Failure::Status(Status::new(code, text))
}

/// Until when, for a timeout from now on.
pub(in crate::rpc) fn deadline_of(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}
