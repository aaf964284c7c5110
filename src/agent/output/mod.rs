//! What an execution wrote: recorded in order, bounded, readable by offset and stream, pushed to
//! followers.
//!
//! ```text
//! spool_dir/<execution id>.out   all bytes in the order of their arrival; appended, never rewritten
//! spool_dir/<execution id>.idx   9 bytes for each change of stream: start (u64 LE), stream (0 or 1)
//! ```
//!
//! Both files are made with their first byte; output that is stdout only needs no index.
//!
//! Owns: the spool directory. Refuses: to keep more than the cap, and to let a slow reader cost
//! memory: everything is read from the file.
//! Invariants: recorded bytes never change; an index entry is written before the bytes it is
//! about; one thread appends; an ended log never grows. Nothing is synced: output survives the
//! agent's death, and after a power cut what the kernel had written by then.

mod error;
mod follow;
mod index;
mod log;
mod spool;

#[cfg(test)]
mod tests;

pub(crate) use error::OutputError;
pub(crate) use follow::FollowItem;
pub(crate) use log::OutputLog;
pub(crate) use spool::{clear_orphans, create_spool_dir, delete};
