//! What nghttp2 calls, and what it finds: events on their way out, bodies on their way in.
//!
//! Invariants: nothing here unwinds, and nothing calls anybody else's code.

use std::collections::{HashMap, VecDeque};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::slice;
use std::time::Instant;

use libnghttp2_sys as ng;

use super::bodies::Bodies;
use super::budget::{Budget, UsedUp};
use super::{End, Event, HEADERS_MOST, Header, StreamId, fields};

pub(super) struct Inner {
    pub events: VecDeque<Event>,
    blocks: HashMap<StreamId, Block>,
    pub bodies: Bodies,
    budget: Budget,
    /// The budget is used up, and the session cannot go on.
    pub is_flooded: bool,
}

/// A header block that is coming in.
#[derive(Default)]
struct Block {
    headers: Vec<Header>,
    size: usize,
    is_first: bool,
}

impl Inner {
    /// # Safety
    /// `user_data` is what a session was made with, and no other reference to it is in use.
    unsafe fn of<'a>(user_data: *mut c_void) -> &'a mut Inner {
        // SAFETY: it is an `Inner` that lives as long as its session.
        unsafe { &mut *user_data.cast() }
    }

    pub(super) fn new() -> Inner {
        Inner {
            events: VecDeque::new(),
            blocks: HashMap::new(),
            bodies: Bodies::default(),
            budget: Budget::new(Instant::now()),
            is_flooded: false,
        }
    }

    fn add_header(&mut self, stream: StreamId, name: &[u8], value: &[u8]) -> c_int {
        let block = self.blocks.entry(stream).or_default();
        let was_fine = block.size <= HEADERS_MOST;
        let bytes = name.len() + value.len() + 32;
        block.size += bytes;
        if block.size <= HEADERS_MOST {
            let (name, value) = (name.to_vec(), value.to_vec());
            block.headers.push(Header { name, value });
            let spent = self.budget.header(bytes, block.size, Instant::now);
            return self.or_flooded(spent, 0);
        }
        block.headers = Vec::new();
        let spent = if was_fine {
            self.budget.oversized_block(Instant::now())
        } else {
            Ok(())
        };
        // Resets the stream, and has the rest of the block decoded for the table's sake alone.
        self.or_flooded(spent, ng::NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE)
    }

    fn or_flooded(&mut self, spent: Result<(), UsedUp>, else_code: c_int) -> c_int {
        match spent {
            Ok(()) => else_code,
            Err(UsedUp) => {
                self.is_flooded = true;
                ng::NGHTTP2_ERR_CALLBACK_FAILURE
            }
        }
    }

    fn closed(&mut self, stream: StreamId, code: u32) {
        self.blocks.remove(&stream);
        self.bodies.remove(stream);
        self.events.push_back(Event::Closed { stream, code });
    }
}

/// Called for frames that are ignored, too.
pub(super) unsafe extern "C" fn on_begin_frame(
    _: *mut ng::nghttp2_session,
    head: *const ng::nghttp2_frame_hd,
    user_data: *mut c_void,
) -> c_int {
    // SAFETY: nghttp2 passes what the session was made with.
    let inner = unsafe { Inner::of(user_data) };
    // SAFETY: nghttp2 passes a frame's head.
    let kind = u32::from(unsafe { (*head).type_ });
    match kind {
        // Of DATA those that are empty or ignored are counted by nghttp2, and those of CONTINUATION, too.
        ng::NGHTTP2_DATA | ng::NGHTTP2_CONTINUATION => 0,
        _ => {
            let spent = inner.budget.idle_frame(Instant::now());
            inner.or_flooded(spent, 0)
        }
    }
}

pub(super) unsafe extern "C" fn on_begin_headers(
    _: *mut ng::nghttp2_session,
    frame: *const ng::nghttp2_frame,
    user_data: *mut c_void,
) -> c_int {
    // SAFETY: nghttp2 passes a frame and what the session was made with.
    let inner = unsafe { Inner::of(user_data) };
    // SAFETY: as above.
    let frame = unsafe { &*frame };
    // SAFETY: it is a HEADERS frame.
    let headers = unsafe { &frame.headers };
    let block = Block {
        is_first: headers.cat != ng::NGHTTP2_HCAT_HEADERS,
        ..Block::default()
    };
    inner.blocks.insert(headers.hd.stream_id, block);
    0
}

pub(super) unsafe extern "C" fn on_header(
    _: *mut ng::nghttp2_session,
    frame: *const ng::nghttp2_frame,
    name: *const u8,
    name_length: usize,
    value: *const u8,
    value_length: usize,
    _: u8,
    user_data: *mut c_void,
) -> c_int {
    // SAFETY: nghttp2 passes what the session was made with.
    let inner = unsafe { Inner::of(user_data) };
    // SAFETY: nghttp2 passes a frame.
    let frame = unsafe { &*frame };
    // SAFETY: every frame begins with its head.
    let stream = unsafe { frame.hd }.stream_id;
    // SAFETY: nghttp2 passes as many bytes as it says, for the time of the call.
    let name = unsafe { slice::from_raw_parts(name, name_length) };
    // SAFETY: as above.
    let value = unsafe { slice::from_raw_parts(value, value_length) };
    inner.add_header(stream, name, value)
}

pub(super) unsafe extern "C" fn on_frame(
    _: *mut ng::nghttp2_session,
    frame: *const ng::nghttp2_frame,
    user_data: *mut c_void,
) -> c_int {
    // SAFETY: nghttp2 passes what the session was made with.
    let inner = unsafe { Inner::of(user_data) };
    // SAFETY: nghttp2 passes a frame.
    let frame = unsafe { &*frame };
    // SAFETY: every frame begins with its head.
    let head = unsafe { frame.hd };
    let stream = head.stream_id;
    let has = |flag: ng::nghttp2_flag| u32::from(head.flags) & flag != 0;
    match u32::from(head.type_) {
        ng::NGHTTP2_HEADERS => {
            inner.budget.working_frame();
            if let Some(block) = inner.blocks.remove(&stream) {
                let (headers, is_first) = (block.headers, block.is_first);
                inner.events.push_back(Event::Headers {
                    stream,
                    headers,
                    is_first,
                });
            }
            if has(ng::NGHTTP2_FLAG_END_STREAM) {
                inner.events.push_back(Event::Ended { stream });
            }
        }
        ng::NGHTTP2_DATA => {
            // nghttp2 counts empty ones itself.
            if head.length > 0 {
                inner.budget.working_frame();
            }
            if has(ng::NGHTTP2_FLAG_END_STREAM) {
                inner.events.push_back(Event::Ended { stream });
            }
        }
        ng::NGHTTP2_SETTINGS if !has(ng::NGHTTP2_FLAG_ACK) => inner.events.push_back(Event::Ready),
        ng::NGHTTP2_PING if has(ng::NGHTTP2_FLAG_ACK) => inner.events.push_back(Event::Pong),
        ng::NGHTTP2_PING => inner.events.push_back(Event::Ping),
        ng::NGHTTP2_GOAWAY => {
            // SAFETY: it is a GOAWAY frame.
            let code = unsafe { frame.goaway }.error_code;
            inner.events.push_back(Event::GoAway { code });
        }
        _ => {}
    }
    0
}

pub(super) unsafe extern "C" fn on_data(
    session: *mut ng::nghttp2_session,
    _: u8,
    stream: StreamId,
    data: *const u8,
    length: usize,
    user_data: *mut c_void,
) -> c_int {
    // SAFETY: nghttp2 passes what the session was made with.
    let inner = unsafe { Inner::of(user_data) };
    // SAFETY: nghttp2 passes as many bytes as it says, for the time of the call.
    let bytes = unsafe { slice::from_raw_parts(data, length) }.to_vec();
    inner.events.push_back(Event::Data { stream, bytes });
    // SAFETY: nghttp2 allows this call in a callback.
    match unsafe { ng::nghttp2_session_consume_connection(session, length) } {
        0 => 0,
        _ => ng::NGHTTP2_ERR_CALLBACK_FAILURE,
    }
}

pub(super) unsafe extern "C" fn on_close(
    _: *mut ng::nghttp2_session,
    stream: StreamId,
    code: u32,
    user_data: *mut c_void,
) -> c_int {
    // SAFETY: nghttp2 passes what the session was made with.
    let inner = unsafe { Inner::of(user_data) };
    inner.closed(stream, code);
    0
}

pub(super) unsafe extern "C" fn on_read(
    session: *mut ng::nghttp2_session,
    stream: StreamId,
    frame: *mut u8,
    length: usize,
    flags: *mut u32,
    _: *mut ng::nghttp2_data_source,
    user_data: *mut c_void,
) -> ng::nghttp2_ssize {
    // SAFETY: nghttp2 passes what the session was made with.
    let inner = unsafe { Inner::of(user_data) };
    // SAFETY: nghttp2 passes room for as many bytes as it says.
    let frame = unsafe { slice::from_raw_parts_mut(frame.cast::<MaybeUninit<u8>>(), length) };
    let Some(filled) = inner.bodies.fill(stream, frame) else {
        // It was reset, and the frame that says so is on its way.
        return ng::NGHTTP2_ERR_DEFERRED as ng::nghttp2_ssize;
    };
    if filled.bytes > 0 {
        inner.budget.working_frame();
    }
    if filled.has_room {
        inner.events.push_back(Event::Room { stream });
    }
    match filled.end {
        None if filled.bytes == 0 => return ng::NGHTTP2_ERR_DEFERRED as ng::nghttp2_ssize,
        None => {}
        // SAFETY: nghttp2 passes a place for the flags.
        Some(End::Bare) => unsafe { *flags |= ng::NGHTTP2_DATA_FLAG_EOF },
        Some(End::Trailers(trailers)) => {
            let fields = fields(&trailers);
            // SAFETY: nghttp2 allows this call here, and copies the fields.
            let submitted = unsafe {
                ng::nghttp2_submit_trailer(session, stream, fields.as_ptr(), fields.len())
            };
            if submitted != 0 {
                return ng::NGHTTP2_ERR_CALLBACK_FAILURE as ng::nghttp2_ssize;
            }
            let last = ng::NGHTTP2_DATA_FLAG_EOF | ng::NGHTTP2_DATA_FLAG_NO_END_STREAM;
            // SAFETY: nghttp2 passes a place for the flags.
            unsafe { *flags |= last };
        }
    }
    filled.bytes as ng::nghttp2_ssize
}

/// Has every body come from `Inner::bodies`.
pub(super) struct Provider(pub ng::nghttp2_data_provider2);

// SAFETY: it holds a function and no address of anything else.
unsafe impl Sync for Provider {}

pub(super) static PROVIDER: Provider = Provider(ng::nghttp2_data_provider2 {
    source: ng::nghttp2_data_source { fd: 0 },
    read_callback: Some(on_read),
});
