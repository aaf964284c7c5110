//! How much of what costs a peer nothing it may do, beside what nghttp2 counts itself.
//!
//! nghttp2 counts resets and malformed, ignored and empty frames. It does not count well-formed frames that change
//! nothing, nor what a header block is once it is decompressed.

use std::time::Instant;

/// Frames without a body, which a peer may have ready, gets anew each second, and earns by each frame that has one or
/// opens a stream. A correct one sends two WINDOW_UPDATE for each DATA at the most, and a PING now and then. (Envoy
/// bears ten for each DATA, too.)
const FRAMES: Rate = Rate {
    burst: 1_000,
    a_second: 100,
};
const EARNED_BY_A_FRAME: u64 = 10;
const EARNED_MOST: u64 = 100_000;
/// Bytes of header blocks beyond what is usual, as they are counted against [`super::HEADERS_MOST`]. Two bytes of a
/// block may stand for 4 KiB ("HPACK bomb").
const HEADER_BYTES: Rate = Rate {
    burst: 4 << 20,
    a_second: 4 << 20,
};
/// Of one block: a request of any client that is known here takes half of it.
const USUAL_BLOCK_BYTES: usize = 1 << 10;
/// What a block over the limit costs: the rest of it is decompressed for the table's sake.
const OVERSIZED_BLOCK_COSTS: u64 = 256 << 10;

/// What one peer has left of frames without a body and of bytes of header blocks.
#[derive(Debug)]
pub(super) struct Budget {
    frames: Bucket,
    header_bytes: Bucket,
}

/// It is used up: the connection is to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UsedUp;

#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: u64,
    a_second: u64,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    left: u64,
    filled_at: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Budget {
        Budget {
            frames: Bucket::new(FRAMES, now),
            header_bytes: Bucket::new(HEADER_BYTES, now),
        }
    }

    /// A frame without a body came. One that opens a stream earns more than this.
    pub(super) fn idle_frame(&mut self, now: Instant) -> Result<(), UsedUp> {
        self.frames.take(1, now)
    }

    /// A frame with a body went or came, or one that opens a stream came.
    pub(super) fn working_frame(&mut self) {
        let left = self.frames.left + EARNED_BY_A_FRAME;
        self.frames.left = left.min(EARNED_MOST.max(self.frames.left));
    }

    /// A header block has become larger: by these bytes, and to this size.
    pub(super) fn header(
        &mut self,
        bytes: usize,
        block: usize,
        now: impl FnOnce() -> Instant,
    ) -> Result<(), UsedUp> {
        if block <= USUAL_BLOCK_BYTES {
            return Ok(());
        }
        self.header_bytes.take(bytes as u64, now())
    }

    pub(super) fn oversized_block(&mut self, now: Instant) -> Result<(), UsedUp> {
        self.header_bytes.take(OVERSIZED_BLOCK_COSTS, now)
    }
}

impl Bucket {
    fn new(rate: Rate, now: Instant) -> Bucket {
        Bucket {
            rate,
            left: rate.burst,
            filled_at: now,
        }
    }

    fn take(&mut self, count: u64, now: Instant) -> Result<(), UsedUp> {
        if self.left < count {
            self.fill(now);
        }
        self.left = self.left.checked_sub(count).ok_or(UsedUp)?;
        Ok(())
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at);
        let anew = passed.as_millis() as u64 * self.rate.a_second / 1_000;
        if anew > 0 {
            self.left = self.left.max(self.rate.burst.min(self.left + anew));
            self.filled_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_uses_the_budget_up_and_time_gives_it_back() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let borne = (0..).take_while(|_| budget.idle_frame(start).is_ok());
        assert_eq!(borne.count() as u64, FRAMES.burst);
        let later = start + Duration::from_secs(2);
        let borne = (0..).take_while(|_| budget.idle_frame(later).is_ok());
        assert_eq!(borne.count() as u64, 2 * FRAMES.a_second);
        let much_later = start + Duration::from_secs(100_000);
        let borne = (0..).take_while(|_| budget.idle_frame(much_later).is_ok());
        assert_eq!(borne.count() as u64, FRAMES.burst);
    }

    #[test]
    fn who_works_may_speak() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        for _ in 0..100_000 {
            budget.working_frame();
            for _ in 0..4 {
                assert_eq!(budget.idle_frame(start), Ok(()));
            }
        }
        let borne = (0..).take_while(|_| budget.idle_frame(start).is_ok());
        assert!(borne.count() as u64 <= EARNED_MOST);
    }

    #[test]
    fn usual_header_blocks_cost_nothing_and_large_ones_what_they_are() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        for _ in 0..1_000_000 {
            assert_eq!(budget.header(500, 500, || start), Ok(()));
        }
        let block = 16 << 10;
        let borne = (0..).take_while(|_| budget.header(block, block, || start).is_ok());
        assert_eq!(borne.count() as u64, HEADER_BYTES.burst / block as u64);
        assert_eq!(budget.oversized_block(start), Err(UsedUp));
    }
}
