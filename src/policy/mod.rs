//! Pure decisions: (state, event, now) in, effects out.
//!
//! Refuses: I/O, clocks, locks. What decides here can be tested without a daemon.

pub mod isolation;
pub mod placement;
