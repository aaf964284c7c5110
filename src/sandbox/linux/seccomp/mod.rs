//! The system calls that an execution does not have: `list` says which and why, `program` turns
//! that into a filter for the kernel, `filter` finds out whether the kernel takes it.

mod filter;
mod list;
mod program;

pub(super) use filter::{Filter, is_thread_contained};
