//! What is done with one stream of a session: begun, filled, ended.

use std::ptr;

use libnghttp2_sys as ng;

use super::callbacks::PROVIDER;
use super::{Code, End, Header, Session, SessionError, StreamId, checked, fields};

impl Session {
    /// Begins a stream whose body is to follow.
    ///
    /// # Errors
    /// The peer takes no more, or the numbers are used up: another connection is needed.
    pub(in crate::rpc) fn request(&mut self, headers: &[Header]) -> Result<StreamId, SessionError> {
        let fields = fields(headers);
        // SAFETY: the fields and the provider are copied; there is no user data of the stream.
        let stream = unsafe {
            ng::nghttp2_submit_request2(
                self.raw(),
                ptr::null(),
                fields.as_ptr(),
                fields.len(),
                &raw const PROVIDER.0,
                ptr::null_mut(),
            )
        };
        checked(stream)?;
        self.inner().bodies.begin(stream);
        Ok(stream)
    }

    /// Answers with these and a body that is to follow. Nothing happens where the stream is over.
    ///
    /// # Errors
    /// Memory runs out, or it was answered before.
    pub(in crate::rpc) fn respond(
        &mut self,
        stream: StreamId,
        headers: &[Header],
    ) -> Result<(), SessionError> {
        // SAFETY: a plain call.
        if unsafe { ng::nghttp2_session_find_stream(self.raw(), stream) }.is_null() {
            return Ok(());
        }
        self.inner().bodies.begin(stream);
        self.answer(stream, headers, &raw const PROVIDER.0)
    }

    /// Answers with these alone.
    ///
    /// # Errors
    /// The stream is over, or was answered before.
    pub(in crate::rpc) fn respond_without_body(
        &mut self,
        stream: StreamId,
        headers: &[Header],
    ) -> Result<(), SessionError> {
        self.answer(stream, headers, ptr::null())
    }

    fn answer(
        &mut self,
        stream: StreamId,
        headers: &[Header],
        provider: *const ng::nghttp2_data_provider2,
    ) -> Result<(), SessionError> {
        let fields = fields(headers);
        // SAFETY: the fields and the provider are copied.
        checked(unsafe {
            ng::nghttp2_submit_response2(
                self.raw(),
                stream,
                fields.as_ptr(),
                fields.len(),
                provider,
            )
        })
    }

    /// Adds to a body. Nothing happens where the stream is over.
    ///
    /// # Errors
    /// Memory runs out.
    pub(in crate::rpc) fn write(
        &mut self,
        stream: StreamId,
        piece: Vec<u8>,
    ) -> Result<(), SessionError> {
        if self.inner().bodies.add(stream, piece) {
            self.resume(stream)
        } else {
            Ok(())
        }
    }

    /// Ends a body, once.
    ///
    /// # Errors
    /// Memory runs out.
    pub(in crate::rpc) fn finish(
        &mut self,
        stream: StreamId,
        end: End,
    ) -> Result<(), SessionError> {
        let Some(body) = self.inner().bodies.get(stream) else {
            return Ok(());
        };
        body.end = Some(end);
        self.resume(stream)
    }

    fn resume(&mut self, stream: StreamId) -> Result<(), SessionError> {
        let body = self.inner().bodies.get(stream);
        if !body.is_some_and(|body| std::mem::take(&mut body.is_deferred)) {
            return Ok(());
        }
        // SAFETY: a plain call.
        match unsafe { ng::nghttp2_session_resume_data(self.raw(), stream) } {
            // It is over, which its event says.
            ng::NGHTTP2_ERR_INVALID_ARGUMENT => Ok(()),
            resumed => checked(resumed),
        }
    }

    /// Bytes that are queued on a stream.
    pub(in crate::rpc) fn queued(&mut self, stream: StreamId) -> usize {
        self.inner().bodies.queued(stream)
    }

    /// The memory that is held by what is queued on all streams.
    pub(in crate::rpc) fn held(&mut self) -> usize {
        self.inner().bodies.held()
    }

    /// Has [`Event::Room`] come once what is queued on a stream has gone down to `ROOM_BELOW`.
    pub(in crate::rpc) fn await_room(&mut self, stream: StreamId) {
        if let Some(body) = self.inner().bodies.get(stream) {
            body.is_awaited = true;
        }
    }

    /// Ends a stream for both.
    ///
    /// # Errors
    /// Memory runs out.
    pub(in crate::rpc) fn reset(
        &mut self,
        stream: StreamId,
        code: Code,
    ) -> Result<(), SessionError> {
        // What is queued is not worth sending any more.
        self.inner().bodies.remove(stream);
        // SAFETY: a plain call.
        checked(unsafe { ng::nghttp2_submit_rst_stream(self.raw(), 0, stream, code.number()) })
    }

    /// Bytes of a stream were taken: as many more may come.
    ///
    /// # Errors
    /// Memory runs out.
    pub(in crate::rpc) fn take(
        &mut self,
        stream: StreamId,
        bytes: usize,
    ) -> Result<(), SessionError> {
        // SAFETY: a plain call; an unknown stream is no error.
        checked(unsafe { ng::nghttp2_session_consume_stream(self.raw(), stream, bytes) })
    }
}
