//! One HTTP/2 connection (RFC 9113) as a value without any I/O: bytes in, events and bytes out.
//!
//! Owns: nghttp2's session, which keeps frames, HPACK, stream states and windows, and everything unsafe
//! that it takes to talk to it. Refuses: header blocks over [`HEADERS_MOST`], push, and peers that
//! misbehave beyond what a correct one could.
//! Invariants: no callback unwinds or calls back into Rust code of others; what is queued to be sent is
//! copied into frames only as far as the peer's windows reach; the connection's own window is given
//! back on arrival, so that a stream whose reader stands still holds up no other.

use std::ffi::{CStr, c_int};
use std::ptr::{self, NonNull};
use std::slice;

use libnghttp2_sys as ng;
use thiserror::Error;

use callbacks::Inner;
use settings::{Callbacks, Options};

mod bodies;
mod budget;
mod callbacks;
mod settings;
mod streams;

pub(in crate::rpc) use bodies::ROOM_BELOW;

/// Names and values of one header block, with 32 bytes for each (RFC 9113, section 6.5.2). gRPC's default is
/// 8 KiB; a status with details takes more.
pub(in crate::rpc) const HEADERS_MOST: usize = 16 << 10;
/// Bytes of a stream that may be under way before they are taken.
pub(in crate::rpc) const STREAM_WINDOW: u32 = 256 << 10;
/// Of all streams together, which are given back at once.
const CONNECTION_WINDOW: i32 = 4 << 20;

/// Frames that wait to be sent, beside those of bodies. A peer that takes none gets no more of them: four for each of
/// the streams that it may have.
const WAITING_FRAMES_MOST: usize = 16_384;

/// A stream's number: odd ones are the client's.
pub(in crate::rpc) type StreamId = i32;

/// Error codes that this side sends (RFC 9113, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rpc) enum Code {
    None,

    Cancel,
    EnhanceYourCalm,
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rpc) struct Header {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// How a body ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rpc) enum End {
    /// With its last byte.
    Bare,
    /// With these after it.
    Trailers(Vec<Header>),
}

/// What the peer did.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::rpc) enum Event {
    /// It has said what it is like: the connection is up.
    Ready,
    /// A whole header block: a request, a response, or what comes after a body.
    Headers {
        stream: StreamId,
        headers: Vec<Header>,
        /// It is the first one on its stream.
        is_first: bool,
    },
    /// A piece of a body, in order.
    Data { stream: StreamId, bytes: Vec<u8> },
    /// It will send nothing more on this stream.
    Ended { stream: StreamId },
    /// The stream is over for both; 0 where nothing went wrong.
    Closed { stream: StreamId, code: u32 },
    /// What was queued on this stream has gone down to a little.
    Room { stream: StreamId },
    /// It asks whether anybody is there, and is answered.
    Ping,
    /// It answers a ping of ours.
    Pong,
    /// It takes no new streams.
    GoAway { code: u32 },
}

/// The connection is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub(in crate::rpc) struct SessionError {
    /// In nghttp2's words.
    pub message: String,
}

/// Which end this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rpc) enum Side {
    Client,
    /// With how many streams at once.
    Server(u32),
}

/// One end of a connection, in the hands of whoever does its input and output.
pub(in crate::rpc) struct Session {
    raw: NonNull<ng::nghttp2_session>,
    // After `raw`, which knows its address.
    inner: Shared,
}

/// What the callbacks see. An address and no box: a box may be known under no other name.
struct Shared(NonNull<Inner>);

// SAFETY: nghttp2 keeps nothing of the thread that made a session; `&mut self` keeps calls apart.
unsafe impl Send for Session {}

impl Session {
    /// Nothing is sent before [`Session::send`].
    pub(in crate::rpc) fn new(side: Side) -> Result<Session, SessionError> {
        let callbacks = Callbacks::new()?;
        let options = Options::new()?;
        let make = match side {
            Side::Client => ng::nghttp2_session_client_new3,
            Side::Server(_) => ng::nghttp2_session_server_new3,
        };
        let inner = Shared::new();
        let mut raw = ptr::null_mut();
        // SAFETY: all four outlive the call; of the callbacks and options the session keeps copies, and of
        // `inner` the address, which is freed after the session.
        let made = unsafe {
            make(
                &raw mut raw,
                callbacks.0.as_ptr(),
                inner.0.as_ptr().cast(),
                options.0.as_ptr(),
                ptr::null_mut(),
            )
        };
        checked(made)?;
        let raw = NonNull::new(raw).ok_or_else(out_of_memory)?;
        let mut session = Session { raw, inner };
        session.announce(side)?;
        Ok(session)
    }

    fn announce(&mut self, side: Side) -> Result<(), SessionError> {
        let entry = |settings_id, value| ng::nghttp2_settings_entry { settings_id, value };
        let last = match side {
            Side::Client => entry(ng::NGHTTP2_SETTINGS_ENABLE_PUSH as i32, 0),
            Side::Server(streams) => {
                entry(ng::NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS as i32, streams)
            }
        };
        let entries = [
            entry(
                ng::NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE as i32,
                STREAM_WINDOW,
            ),
            entry(
                ng::NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE as i32,
                HEADERS_MOST as u32,
            ),
            last,
        ];
        // SAFETY: the entries are copied.
        checked(unsafe {
            ng::nghttp2_submit_settings(self.raw(), 0, entries.as_ptr(), entries.len())
        })?;
        // SAFETY: stream 0 is the connection.
        checked(unsafe {
            ng::nghttp2_session_set_local_window_size(self.raw(), 0, 0, CONNECTION_WINDOW)
        })
    }

    /// Takes in what has arrived; what it means stands in [`Session::next_event`].
    ///
    /// # Errors
    /// The peer has broken the protocol or a bound. What is left to be sent says so to it.
    pub(in crate::rpc) fn receive(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        // SAFETY: the bytes are read during the call only.
        let taken =
            unsafe { ng::nghttp2_session_mem_recv2(self.raw(), bytes.as_ptr(), bytes.len()) };
        // SAFETY: a plain call.
        let waiting = unsafe { ng::nghttp2_session_get_outbound_queue_size(self.raw()) };
        if self.inner().is_flooded || waiting > WAITING_FRAMES_MOST {
            // The last that it hears; out of memory, it hears nothing.
            let _ = self.terminate(Code::EnhanceYourCalm);
            return Err(error(ng::NGHTTP2_ERR_FLOODED));
        }
        match c_int::try_from(taken) {
            Ok(code @ ..0) => Err(error(code)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// What the peer did, in order.
    pub(in crate::rpc) fn next_event(&mut self) -> Option<Event> {
        self.inner().events.pop_front()
    }

    /// Appends frames that are to be sent, to about `at_most` bytes; whether there are any left.
    ///
    /// # Errors
    /// Memory runs out.
    pub(in crate::rpc) fn send(
        &mut self,
        to: &mut Vec<u8>,
        at_most: usize,
    ) -> Result<bool, SessionError> {
        while to.len() < at_most {
            let mut frame = ptr::null();
            // SAFETY: the frame is valid until the next call to the session.
            let length = unsafe { ng::nghttp2_session_mem_send2(self.raw(), &raw mut frame) };
            let Ok(length) = usize::try_from(length) else {
                return Err(error(
                    c_int::try_from(length).unwrap_or(ng::NGHTTP2_ERR_NOMEM),
                ));
            };
            if length == 0 {
                return Ok(false);
            }
            // SAFETY: see above.
            to.extend_from_slice(unsafe { slice::from_raw_parts(frame, length) });
        }
        Ok(true)
    }

    /// Asks whether the peer is there.
    ///
    /// # Errors
    /// Memory runs out.
    pub(in crate::rpc) fn ping(&mut self) -> Result<(), SessionError> {
        // SAFETY: without data of ours, zeros are sent.
        checked(unsafe { ng::nghttp2_submit_ping(self.raw(), 0, ptr::null()) })
    }

    /// Says that there will be an end: the peer opens no more streams, and those that it has opened
    /// meanwhile are served (RFC 9113, section 6.8).
    ///
    /// # Errors
    /// Memory runs out.
    pub(in crate::rpc) fn announce_end(&mut self) -> Result<(), SessionError> {
        // SAFETY: a plain call.
        checked(unsafe { ng::nghttp2_submit_shutdown_notice(self.raw()) })
    }

    /// Ends the connection, once the streams that are open have ended.
    ///
    /// # Errors
    /// Memory runs out.
    pub(in crate::rpc) fn go_away(&mut self, code: Code) -> Result<(), SessionError> {
        // SAFETY: a plain call.
        let last = unsafe { ng::nghttp2_session_get_last_proc_stream_id(self.raw()) };
        // SAFETY: there is no debug data.
        checked(unsafe {
            ng::nghttp2_submit_goaway(self.raw(), 0, last, code.number(), ptr::null(), 0)
        })
    }

    /// Ends the connection with everything on it.
    ///
    /// # Errors
    /// Memory runs out.
    pub(in crate::rpc) fn terminate(&mut self, code: Code) -> Result<(), SessionError> {
        // SAFETY: a plain call.
        checked(unsafe { ng::nghttp2_session_terminate_session(self.raw(), code.number()) })
    }

    /// Whether the peer takes new streams, and there are numbers left for them.
    pub(in crate::rpc) fn takes_requests(&self) -> bool {
        // SAFETY: a plain call.
        unsafe { ng::nghttp2_session_check_request_allowed(self.raw.as_ptr()) != 0 }
    }

    /// Whether anything more can come or go.
    pub(in crate::rpc) fn is_alive(&self) -> bool {
        // SAFETY: a plain call.
        let reads = unsafe { ng::nghttp2_session_want_read(self.raw.as_ptr()) };
        // SAFETY: a plain call.
        let writes = unsafe { ng::nghttp2_session_want_write(self.raw.as_ptr()) };
        reads != 0 || writes != 0
    }

    fn raw(&mut self) -> *mut ng::nghttp2_session {
        self.raw.as_ptr()
    }

    fn inner(&mut self) -> &mut Inner {
        // SAFETY: no callback runs outside of a call to the session, which takes `&mut self` too.
        unsafe { self.inner.0.as_mut() }
    }
}

impl Shared {
    fn new() -> Shared {
        Shared(NonNull::from(Box::leak(Box::new(Inner::new()))))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it comes from a box, and the session that knew it is gone.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: it is not used any more, and no callback is called.
        unsafe { ng::nghttp2_session_del(self.raw.as_ptr()) };
    }
}

impl Code {
    pub(super) fn number(self) -> u32 {
        match self {
            Code::None => ng::NGHTTP2_NO_ERROR,
            Code::Cancel => ng::NGHTTP2_CANCEL,
            Code::EnhanceYourCalm => ng::NGHTTP2_ENHANCE_YOUR_CALM,
        }
    }
}

/// As nghttp2 wants them. It reads names and values, though its type says that it could write.
fn fields(headers: &[Header]) -> Vec<ng::nghttp2_nv> {
    let field = |header: &Header| ng::nghttp2_nv {
        name: header.name.as_ptr().cast_mut(),
        value: header.value.as_ptr().cast_mut(),
        namelen: header.name.len(),
        valuelen: header.value.len(),
        flags: 0,
    };
    headers.iter().map(field).collect()
}

fn checked(code: c_int) -> Result<(), SessionError> {
    if code < 0 { Err(error(code)) } else { Ok(()) }
}

fn out_of_memory() -> SessionError {
    error(ng::NGHTTP2_ERR_NOMEM)
}

fn error(code: c_int) -> SessionError {
    // SAFETY: a plain call.
    let text = unsafe { ng::nghttp2_strerror(code) };
    // SAFETY: it is a text that lives as long as the program.
    let text = unsafe { CStr::from_ptr(text) };
    SessionError {
        message: text.to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests;
