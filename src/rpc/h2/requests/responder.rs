//! The answer to one call.
//!
//! Invariants: a call is ended once, by its answer or when nobody is left to give one; answers that the other end
//! does not take are bounded in their sum over all calls of a connection, and what is beyond ends with
//! `RESOURCE_EXHAUSTED`.

use std::sync::{Arc, Weak};

use crossbeam_channel::{bounded, select};

use super::{Requests, Undo};
use crate::base::cancel::Cancel;
use crate::rpc::grpc::metadata;
use crate::rpc::grpc::status::{Code, Status};
use crate::rpc::h2::link::{Link, Over};
use crate::rpc::h2::session::{
    Code as Http2Code, End, ROOM_BELOW, Session, SessionError, StreamId,
};
use crate::rpc::limits::{MAX_MESSAGE_BYTES, QUEUED_MOST};

/// Feeds and followers have room of their own, so that they are not cut off because answers pile up.
const STREAMS_QUEUED_MOST: usize = QUEUED_MOST + MAX_MESSAGE_BYTES;

/// Answers one call. Dropped unanswered, it ends the call as cancelled.
pub(crate) struct Responder {
    /// A connection that is over is not kept for whoever still works for one of its calls.
    link: Weak<Link<Requests>>,
    stream: StreamId,
    left: Cancel,
    has_begun: bool,
    is_over: bool,
}

impl Responder {
    pub(super) fn new(link: Weak<Link<Requests>>, stream: StreamId, left: Cancel) -> Responder {
        Responder {
            link,
            stream,
            left,
            has_begun: false,
            is_over: false,
        }
    }

    /// Pulled when the caller has left, or the call is over.
    pub(crate) fn left(&self) -> &Cancel {
        &self.left
    }

    /// Has `undo` done should the caller cancel before he is answered: by himself or by his deadline, and not
    /// because his connection breaks. `Err` when he has left.
    pub(crate) fn on_cancel(&self, undo: Undo) -> Result<(), Over> {
        let stream = self.stream;
        self.link()?.look(|_, requests| {
            let request = requests.requests.get_mut(&stream).ok_or(Over)?;
            request.undo = Some(undo);
            Ok(())
        })?
    }

    /// Answers with one framed message, and ends the call. Does not wait. `Err` when the caller has left.
    pub(crate) fn answer(mut self, message: Vec<u8>) -> Result<(), Over> {
        self.is_over = true;
        let stream = self.stream;
        let trailers = metadata::trailers(&Status::new(Code::Ok, ""));
        self.change(|session| {
            if !has_room(session, message.len(), QUEUED_MOST) {
                return session.respond_without_body(stream, &metadata::response_of(&unread()));
            }
            session.respond(stream, &metadata::response())?;
            session.write(stream, message)?;
            session.finish(stream, End::Trailers(trailers))
        })
    }

    /// Ends the call with a status. Does not wait. `Err` when the caller has left.
    pub(crate) fn end(mut self, status: &Status) -> Result<(), Over> {
        self.is_over = true;
        let (stream, has_begun) = (self.stream, self.has_begun);
        self.change(|session| {
            if has_begun {
                session.finish(stream, End::Trailers(metadata::trailers(status)))
            } else {
                session.respond_without_body(stream, &metadata::response_of(status))
            }
        })
    }

    /// Sends one of many framed messages, once there is room for it. `Err` when the caller has left.
    pub(crate) fn send(&mut self, message: Vec<u8>) -> Result<(), Over> {
        let (stream, has_begun) = (self.stream, self.has_begun);
        let (sender, room) = bounded(1);
        self.has_begun = true;
        let is_full = self.link()?.with(|session, requests| {
            let Some(request) = requests.requests.get_mut(&stream) else {
                return Err(Over);
            };
            if !has_begun {
                session
                    .respond(stream, &metadata::response())
                    .map_err(|_| Over)?;
            }
            if !has_room(session, message.len(), STREAMS_QUEUED_MOST) {
                let last = End::Trailers(metadata::trailers(&unread()));
                let _ = session.finish(stream, last);
                drop(requests.forget(stream));
                return Err(Over);
            }
            session.write(stream, message).map_err(|_| Over)?;
            let is_full = session.queued(stream) > ROOM_BELOW;
            if is_full {
                request.room = Some(sender);
                session.await_room(stream);
            }
            Ok(is_full)
        })??;
        if is_full {
            select! {
                recv(room) -> _ => {}
                recv(self.left.receiver()) -> _ => return Err(Over),
            }
        }
        Ok(())
    }

    fn link(&self) -> Result<Arc<Link<Requests>>, Over> {
        self.link.upgrade().ok_or(Over)
    }

    fn change(
        &self,
        act: impl FnOnce(&mut Session) -> Result<(), SessionError>,
    ) -> Result<(), Over> {
        let stream = self.stream;
        self.link()?.with(|session, requests| {
            if !requests.requests.contains_key(&stream) {
                return Err(Over);
            }
            act(session).map_err(|_| Over)
        })?
    }
}

/// Whether a connection has room for a message. For a single one it always has.
fn has_room(session: &mut Session, length: usize, most: usize) -> bool {
    let held = session.held();
    held == 0 || held + length <= most
}

fn unread() -> Status {
    let text = "the caller leaves too many answers on this connection unread";
    log::warn!("an answer was thrown away: {text}");
    Status::new(Code::ResourceExhausted, text)
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.is_over {
            let stream = self.stream;
            let _ = self.link().map(|link| {
                link.with(|session, requests| {
                    if requests.forget(stream).is_some() {
                        let _ = session.reset(stream, Http2Code::Cancel);
                    }
                })
            });
        }
    }
}
