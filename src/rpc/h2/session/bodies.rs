//! Bodies on their way out: what is queued for each stream until the peer's windows take it.
//!
//! Invariant: the memory that all of them hold is known after every change, so that there can be a bound for it. A
//! piece is held whole until its last byte is in a frame.

use std::collections::{HashMap, VecDeque};
use std::mem::MaybeUninit;

use super::{End, StreamId};

/// Queued on a stream below which there is room again.
pub(in crate::rpc) const ROOM_BELOW: usize = 128 << 10;

/// Those of one connection.
#[derive(Default)]
pub(super) struct Bodies {
    of: HashMap<StreamId, Body>,
    held: usize,
}

/// That of one stream.
#[derive(Default)]
pub(super) struct Body {
    pieces: VecDeque<Vec<u8>>,
    /// Of the first piece, how much is in frames already.
    taken: usize,
    /// Not in frames yet.
    bytes: usize,
    /// Of the pieces that are here, whole.
    held: usize,
    pub end: Option<End>,
    /// nghttp2 has found nothing here and has to be told of more.
    pub is_deferred: bool,
    /// Somebody wants to hear of room.
    pub is_awaited: bool,
}

/// What came of filling a frame.
pub(super) struct Filled {
    pub bytes: usize,
    /// Somebody waited for this.
    pub has_room: bool,
    /// What comes after the last byte, if this was it.
    pub end: Option<End>,
}

impl Bodies {
    /// For a stream that has none.
    pub(super) fn begin(&mut self, stream: StreamId) {
        self.remove(stream);
        self.of.insert(stream, Body::default());
    }

    pub(super) fn get(&mut self, stream: StreamId) -> Option<&mut Body> {
        self.of.get_mut(&stream)
    }

    /// Whether there is such a body.
    pub(super) fn add(&mut self, stream: StreamId, piece: Vec<u8>) -> bool {
        let Some(body) = self.of.get_mut(&stream) else {
            return false;
        };
        self.held += piece.len();
        body.held += piece.len();
        body.bytes += piece.len();
        body.pieces.push_back(piece);
        true
    }

    /// What is queued is not worth sending any more.
    pub(super) fn remove(&mut self, stream: StreamId) {
        if let Some(body) = self.of.remove(&stream) {
            self.held -= body.held;
        }
    }

    /// Of one stream, not in frames yet.
    pub(super) fn queued(&self, stream: StreamId) -> usize {
        self.of.get(&stream).map_or(0, |body| body.bytes)
    }

    /// The memory of all.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Moves as much into a frame as fits; `None` where the stream was reset meanwhile.
    pub(super) fn fill(
        &mut self,
        stream: StreamId,
        frame: &mut [MaybeUninit<u8>],
    ) -> Option<Filled> {
        let body = self.of.get_mut(&stream)?;
        let before = body.held;
        let bytes = body.fill(frame);
        self.held -= before - body.held;
        let has_room = body.is_awaited && body.bytes <= ROOM_BELOW;
        body.is_awaited &= !has_room;
        let end = if body.pieces.is_empty() {
            body.end.take()
        } else {
            None
        };
        body.is_deferred = bytes == 0 && end.is_none();
        Some(Filled {
            bytes,
            has_room,
            end,
        })
    }
}

impl Body {
    fn fill(&mut self, frame: &mut [MaybeUninit<u8>]) -> usize {
        let mut filled = 0;
        while filled < frame.len() {
            let Some(piece) = self.pieces.front() else {
                break;
            };
            let rest = &piece[self.taken..];
            let count = rest.len().min(frame.len() - filled);
            frame[filled..filled + count].write_copy_of_slice(&rest[..count]);
            filled += count;
            self.taken += count;
            if self.taken == piece.len() {
                self.held -= piece.len();
                self.pieces.pop_front();
                self.taken = 0;
            }
        }
        self.bytes -= filled;
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_counts_whole_until_its_last_byte_is_sent() {
        let mut bodies = Bodies::default();
        assert!(!bodies.add(1, vec![0; 9]), "there is none yet");
        bodies.begin(1);
        bodies.begin(3);
        assert!(bodies.add(1, vec![1; 100]) && bodies.add(1, vec![2; 50]));
        assert!(bodies.add(3, vec![3; 30]));
        assert_eq!(bodies.held(), 180);
        let mut frame = [MaybeUninit::uninit(); 120];
        let filled = bodies.fill(1, &mut frame).expect("a body");
        assert_eq!(filled.bytes, 120);
        assert_eq!((bodies.queued(1), bodies.held()), (30, 80));
        bodies.remove(1);
        bodies.remove(1);
        assert_eq!(bodies.held(), 30);
        bodies.begin(3);
        assert_eq!(bodies.held(), 0);
        assert!(bodies.fill(5, &mut frame).is_none());
    }
}
