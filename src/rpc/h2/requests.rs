//! A server's streams: each is one request and its answer.
//!
//! Invariants: a request becomes a job once its first message is whole, or, where messages stream in, at once;
//! a job is done by the reader, which must not wait; whoever answers does it through a [`Responder`], which
//! ends the call when it is dropped.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;

use crossbeam_channel::{Receiver, SendError, Sender, select, unbounded};

use super::credit::{Credit, Owed};
use super::deadlines::Deadlines;
use super::link::{Link, Over, Streams};
use super::session::{Code as Http2Code, Event, Header, Session, StreamId};
use crate::base::cancel::{Cancel, Trigger, pair};
use crate::rpc::grpc::framing::Assembler;
use crate::rpc::grpc::metadata;
use crate::rpc::grpc::status::{Code, Status};
use crate::rpc::limits::{BUFFERED_MOST, MAX_MESSAGE_BYTES, REQUESTS_QUEUED};

mod responder;

pub(crate) use responder::Responder;

/// Whether a method's messages stream in, or it has just one.
pub(in crate::rpc) type IsStreamingIn = fn(path: &str) -> Option<bool>;

/// What the link's reader is to do without its lock.
pub(in crate::rpc) enum Job {
    Serve(Incoming),
    /// The caller has cancelled: what was left for that.
    Undo(Undo),
}

/// What is to be done should a caller cancel. Must not wait.
pub(crate) type Undo = Box<dyn FnOnce() + Send>;

/// A request that is to be served.
pub struct Incoming {
    /// Of the method.
    pub path: String,
    /// The one message, where there is one.
    pub(crate) message: Vec<u8>,
    pub(crate) responder: Responder,
    /// The messages, where they stream in.
    pub(crate) messages: Option<Messages>,
}

/// Messages as they come in. Holds the other end back.
pub(crate) struct Messages {
    arrived: Receiver<(Vec<u8>, Owed)>,
    link: Weak<Link<Requests>>,
    stream: StreamId,
    left: Cancel,
}

/// The requests that are under way on one connection, by stream.
pub(in crate::rpc) struct Requests {
    link: Weak<Link<Requests>>,
    is_streaming_in: IsStreamingIn,
    requests: HashMap<StreamId, Request>,
    deadlines: Deadlines,
    jobs: VecDeque<Job>,
    buffered: usize,
}

struct Request {
    path: String,
    assembler: Assembler,
    credit: Credit,
    kind: Kind,
    left: Trigger,
    undo: Option<Undo>,
    room: Option<Sender<()>>,
}

enum Kind {
    /// Waits for its message.
    One(Option<Vec<u8>>),
    /// Handed over; what comes now is none of its business.
    Served,
    /// `None` once the other end has sent all.
    Many(Option<Sender<(Vec<u8>, Owed)>>),
}

impl Request {
    /// Memory that its messages take here.
    fn held(&self) -> usize {
        self.assembler.held() + self.credit.held()
    }
}

impl Requests {
    /// `is_streaming_in` knows the methods.
    pub(in crate::rpc) fn new(is_streaming_in: IsStreamingIn) -> Requests {
        Requests {
            link: Weak::new(),
            is_streaming_in,
            requests: HashMap::new(),
            deadlines: Deadlines::default(),
            jobs: VecDeque::new(),
            buffered: 0,
        }
    }

    /// Which link it is in; to be set before the first request.
    pub(in crate::rpc) fn belong_to(&mut self, link: &Arc<Link<Requests>>) {
        self.link = Arc::downgrade(link);
    }

    fn begin(&mut self, session: &mut Session, stream: StreamId, headers: &[Header]) {
        let request = match metadata::read_request(headers) {
            Ok(request) => request,
            Err(refused) => {
                let _ = session.respond_without_body(stream, &metadata::response_of_http(refused));
                return;
            }
        };
        let Some(is_streaming_in) = (self.is_streaming_in)(&request.path) else {
            let status = Status::new(Code::Unimplemented, "there is no such method");
            let _ = session.respond_without_body(stream, &metadata::response_of(&status));
            return;
        };
        if is_streaming_in && self.jobs.len() >= REQUESTS_QUEUED {
            let _ = session.respond_without_body(stream, &metadata::response_of(&too_many()));
            return;
        }
        if let Some(timeout) = request.timeout
            && let Some(deadline) = Instant::now().checked_add(timeout)
        {
            self.deadlines.set(stream, deadline);
        }
        let (left, cancel) = pair();
        let mut known = Request {
            path: request.path,
            assembler: Assembler::new(MAX_MESSAGE_BYTES, Code::Unimplemented),
            credit: Credit::default(),
            kind: Kind::One(None),
            left,
            undo: None,
            room: None,
        };
        if is_streaming_in {
            let link = self.link.clone();
            let (sender, arrived) = unbounded();
            known.kind = Kind::Many(Some(sender));
            let messages = Messages {
                arrived,
                link: Weak::clone(&link),
                stream,
                left: cancel.clone(),
            };
            self.jobs.push_back(Job::Serve(Incoming {
                path: known.path.clone(),
                message: Vec::new(),
                responder: Responder::new(link, stream, cancel),
                messages: Some(messages),
            }));
        }
        self.requests.insert(stream, known);
    }

    fn data(&mut self, session: &mut Session, stream: StreamId, bytes: &[u8]) {
        let Some(request) = self.requests.get_mut(&stream) else {
            return;
        };
        let before = request.held();
        let mut rest = bytes;
        let mut given = 0;
        let result = loop {
            let length = rest.len();
            match request.assembler.take(&mut rest) {
                Ok(None) => {
                    given += request.credit.piece(length);
                    break Ok(());
                }
                Err(status) => break Err(status),
                Ok(Some(message)) => match &mut request.kind {
                    Kind::Many(Some(sender)) => {
                        let owed = request.credit.message(message.len(), length - rest.len());
                        if let Err(SendError((_, owed))) = sender.send((message, owed)) {
                            // Nobody reads them any more, and no more need come.
                            request.credit.taken(owed);
                        }
                    }
                    Kind::One(known @ None) => {
                        request.credit.message(message.len(), 0);
                        *known = Some(message);
                        given += length - rest.len();
                    }
                    Kind::One(Some(_)) | Kind::Served | Kind::Many(None) => {
                        let text = "this method takes one message";
                        break Err(Status::new(Code::Unimplemented, text));
                    }
                },
            }
        };
        self.buffered = self.buffered + request.held() - before;
        let result = result.and_then(|()| {
            if self.buffered > BUFFERED_MOST {
                let text = "too much is under way on this connection";
                return Err(Status::new(Code::ResourceExhausted, text));
            }
            Ok(())
        });
        match result {
            Ok(()) => drop(session.take(stream, given)),
            Err(status) => self.refuse(session, stream, &status),
        }
    }

    /// Ends a call whose request cannot be taken.
    fn refuse(&mut self, session: &mut Session, stream: StreamId, status: &Status) {
        if self.forget(stream).is_some() {
            // Not reset, which would overtake the answer: what more of its body comes is left to fill its window.
            let _ = session.respond_without_body(stream, &metadata::response_of(status));
        }
    }

    fn ended(&mut self, session: &mut Session, stream: StreamId) {
        let Some(request) = self.requests.get_mut(&stream) else {
            return;
        };
        let is_whole = request.assembler.is_between_messages();
        match &mut request.kind {
            Kind::Many(sender) if is_whole => *sender = None,
            Kind::One(message) if is_whole && message.is_some() => {
                let message = message.take().unwrap_or_default();
                request.kind = Kind::Served;
                self.buffered -= request.credit.held();
                request.credit = Credit::default();
                if self.jobs.len() >= REQUESTS_QUEUED {
                    return self.refuse(session, stream, &too_many());
                }
                let link = self.link.clone();
                self.jobs.push_back(Job::Serve(Incoming {
                    path: request.path.clone(),
                    message,
                    responder: Responder::new(link, stream, request.left.waiter()),
                    messages: None,
                }));
            }
            Kind::Served => {}
            Kind::One(_) | Kind::Many(_) => {
                let status = Status::new(Code::Internal, "the request ends in the middle");
                self.refuse(session, stream, &status);
            }
        }
    }

    /// The caller does not want the call any more.
    fn cancelled(&mut self, stream: StreamId) -> bool {
        let Some(request) = self.forget(stream) else {
            return false;
        };
        self.jobs.extend(request.undo.map(Job::Undo));
        true
    }

    /// Somebody has taken a message, and more may come.
    fn taken(&mut self, session: &mut Session, stream: StreamId, owed: Owed) {
        if let Some(request) = self.requests.get_mut(&stream) {
            let before = request.held();
            let given = request.credit.taken(owed);
            self.buffered = self.buffered + request.held() - before;
            // Out of memory shows with the next call.
            let _ = session.take(stream, given);
        }
    }

    fn forget(&mut self, stream: StreamId) -> Option<Request> {
        let request = self.requests.remove(&stream)?;
        self.deadlines.forget(stream);
        self.buffered -= request.held();
        request.left.pull();
        Some(request)
    }
}

impl Streams for Requests {
    type Job = Job;

    fn handle(&mut self, session: &mut Session, event: Event) {
        match event {
            Event::Headers {
                stream,
                headers,
                is_first: true,
            } => self.begin(session, stream, &headers),
            Event::Data { stream, bytes } => self.data(session, stream, &bytes),
            Event::Ended { stream } => self.ended(session, stream),
            Event::Closed { stream, code } if code == Http2Code::Cancel.number() => {
                self.cancelled(stream);
            }
            // Whatever else ends it, with its connection for instance, cancels nothing.
            Event::Closed { stream, .. } => drop(self.forget(stream)),
            Event::Room { stream } => {
                let request = self.requests.get_mut(&stream);
                if let Some(room) = request.and_then(|request| request.room.take()) {
                    let _ = room.try_send(());
                }
            }
            Event::Headers { .. }
            | Event::Ready
            | Event::GoAway { .. }
            | Event::Ping
            | Event::Pong => {}
        }
    }

    fn due(&mut self, session: &mut Session, now: Instant) -> Option<Instant> {
        while let Some(stream) = self.deadlines.take_due(now) {
            // The caller has given up by itself: nobody reads an answer.
            if self.cancelled(stream) {
                let _ = session.reset(stream, Http2Code::Cancel);
            }
        }
        self.deadlines.next()
    }

    fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    fn over(&mut self, _: &str) {
        self.deadlines.clear();
        for (_, request) in self.requests.drain() {
            request.left.pull();
        }
        self.buffered = 0;
    }

    fn next_job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    fn outlives_the_link(job: &Job) -> bool {
        matches!(job, Job::Undo(_))
    }
}

impl Messages {
    /// The next one; `None` after the last.
    ///
    /// # Errors
    /// The caller has left.
    pub(crate) fn next(&self) -> Result<Option<Vec<u8>>, Over> {
        let received = select! {
            recv(self.arrived) -> message => message,
            recv(self.left.receiver()) -> _ => return Err(Over),
        };
        let Ok((message, owed)) = received else {
            // All were sent, unless the call was forgotten.
            return if self.left.is_pulled() {
                Err(Over)
            } else {
                Ok(None)
            };
        };
        let stream = self.stream;
        let link = self.link.upgrade().ok_or(Over)?;
        link.with(|session, requests| requests.taken(session, stream, owed))?;
        Ok(Some(message))
    }
}

fn too_many() -> Status {
    Status::new(Code::ResourceExhausted, "too many calls at once")
}
