//! Pure decisions: (state, event, now) in, effects out.
//!
//! Refuses: I/O, clocks, locks. What decides here can be tested without a daemon.

pub(crate) mod isolation;
pub(crate) mod placement;
