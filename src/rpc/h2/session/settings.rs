//! How nghttp2 is set up: which callbacks it has, and what it bears.

use std::ptr::{self, NonNull};

use libnghttp2_sys as ng;

use super::callbacks::{on_begin_frame, on_begin_headers, on_close, on_data, on_frame, on_header};
use super::{SessionError, checked, out_of_memory};

/// Resets that a peer may have ready, and that it gets anew each second: a client that gives up calls
/// does it one by one (CVE-2023-44487).
const RESETS: (u64, u64) = (2000, 200);
/// Odd frames, in the same way. To nghttp2 the DATA of a stream that was given up while they were under way are odd,
/// too, and there may be a window full of small ones.
const GLITCHES: (u64, u64) = (10_000, 330);
/// Of one header block (CVE-2024-28182): 16 KiB fit into two frames.
const CONTINUATIONS_MOST: usize = 4;
/// Acknowledgements of pings and settings that may wait because the peer does not read.
const ACKS_MOST: usize = 100;
/// Entries of one SETTINGS frame: there are ten kinds.
const SETTINGS_MOST: usize = 16;

pub(super) struct Callbacks(pub NonNull<ng::nghttp2_session_callbacks>);

impl Callbacks {
    pub(super) fn new() -> Result<Callbacks, SessionError> {
        let mut raw = ptr::null_mut();
        // SAFETY: it is given a place.
        checked(unsafe { ng::nghttp2_session_callbacks_new(&raw mut raw) })?;
        let callbacks = Callbacks(NonNull::new(raw).ok_or_else(out_of_memory)?);
        let raw = callbacks.0.as_ptr();
        // SAFETY: a plain call, as are the following.
        unsafe {
            ng::nghttp2_session_callbacks_set_on_begin_frame_callback(raw, Some(on_begin_frame));
        }
        // SAFETY: see above.
        unsafe {
            ng::nghttp2_session_callbacks_set_on_begin_headers_callback(
                raw,
                Some(on_begin_headers),
            );
        }
        // SAFETY: see above.
        unsafe { ng::nghttp2_session_callbacks_set_on_header_callback(raw, Some(on_header)) };
        // SAFETY: see above.
        unsafe { ng::nghttp2_session_callbacks_set_on_frame_recv_callback(raw, Some(on_frame)) };
        // SAFETY: see above.
        unsafe {
            ng::nghttp2_session_callbacks_set_on_data_chunk_recv_callback(raw, Some(on_data));
        }
        // SAFETY: see above.
        unsafe { ng::nghttp2_session_callbacks_set_on_stream_close_callback(raw, Some(on_close)) };
        Ok(callbacks)
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        // SAFETY: sessions have copies.
        unsafe { ng::nghttp2_session_callbacks_del(self.0.as_ptr()) };
    }
}

pub(super) struct Options(pub NonNull<ng::nghttp2_option>);

impl Options {
    pub(super) fn new() -> Result<Options, SessionError> {
        let mut raw = ptr::null_mut();
        // SAFETY: it is given a place.
        checked(unsafe { ng::nghttp2_option_new(&raw mut raw) })?;
        let options = Options(NonNull::new(raw).ok_or_else(out_of_memory)?);
        let raw = options.0.as_ptr();
        // SAFETY: a plain call, as are the following.
        unsafe { ng::nghttp2_option_set_no_auto_window_update(raw, 1) };
        // SAFETY: see above.
        unsafe { ng::nghttp2_option_set_no_closed_streams(raw, 1) };
        // SAFETY: see above.
        unsafe { ng::nghttp2_option_set_max_outbound_ack(raw, ACKS_MOST) };
        // SAFETY: see above.
        unsafe { ng::nghttp2_option_set_max_settings(raw, SETTINGS_MOST) };
        // SAFETY: see above.
        unsafe { ng::nghttp2_option_set_max_continuations(raw, CONTINUATIONS_MOST) };
        // SAFETY: see above.
        unsafe { ng::nghttp2_option_set_stream_reset_rate_limit(raw, RESETS.0, RESETS.1) };
        // SAFETY: see above.
        unsafe { ng::nghttp2_option_set_glitch_rate_limit(raw, GLITCHES.0, GLITCHES.1) };
        Ok(options)
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: sessions have copies.
        unsafe { ng::nghttp2_option_del(self.0.as_ptr()) };
    }
}
