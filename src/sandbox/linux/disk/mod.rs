//! The disk limit of a running execution: how much its working directory holds.
//!
//! Two ways hold it. `project` is the hard one: a quota of the file system, refused by the kernel. It
//! needs a file system that was made and mounted for it (ext4, XFS), and the right to set limits.
//! `measured` is for all others: the directory is walked through again and again. `limit` has the
//! figures of both, `watch` asks whichever holds, while the execution runs and after it.
//!
//! What both guarantee:
//! - A single file never outgrows the limit: RLIMIT_FSIZE says so before the program starts.
//! - An execution that is found over its limit is ended as out of disk. At the limit is not over it.
//! - What is over the limit is gone with the execution: its directory is removed, and what only
//!   its processes hold ends with them.
//! - Writes elsewhere are not counted: they are for the file access of the execution to refuse.
//!
//! Which way holds for an execution: the quota, if its working directory has a project. A function that
//! runs with all system calls can change the project of its own files; for it, both.

mod limit;
mod measured;
mod project;
mod watch;

pub(super) use limit::{Excess, Limit};
pub use project::{Project, Projects};
pub(super) use watch::{AtTheEnd, DiskWatch};
