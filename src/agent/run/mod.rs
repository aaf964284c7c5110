//! Executions while they run: admitted, carried out on a thread of their own, seen from outside.
//!
//! `admission` counts slots; `execution` is one run from its start to its final record, on one of
//! the `threads`, with what all share in `context` and an `environment` of its own; `live` is the
//! table of what runs.

pub mod admission;
pub mod context;
pub mod environment;
pub mod execution;
pub mod live;
pub mod threads;
