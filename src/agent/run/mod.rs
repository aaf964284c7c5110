//! Executions while they run: admitted, carried out on a thread of their own, seen from outside.
//!
//! `admission` counts slots; `execution` is one run from its start to its final record, on one of
//! the `threads`, with what all share in `context` and an `environment` of its own; `live` is the
//! table of what runs.

pub(crate) mod admission;
pub(crate) mod context;
pub(crate) mod environment;
pub(crate) mod execution;
pub(crate) mod live;
pub(crate) mod threads;
