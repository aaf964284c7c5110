//! The disk limit of a running execution: how much its working directory holds, measured again
//! and again, and never by following a link.
//!
//! `quota` decides when to look and when a look is a verdict; `walk` goes through the directory,
//! `held` through the files that only a descriptor or a mapping still holds; `tally` adds up.
//!
//! What the limit guarantees:
//! - A single file never outgrows it: RLIMIT_FSIZE says so before the program starts.
//! - The sum is found to be too much at the next look. Until then a program can be over it by what
//!   it writes in that time: at [`quota::WRITE_RATE`], for [`quota::LOOK_SOONEST`] and two walks. Where
//!   the tree is so large that a walk takes more than some milliseconds, add four walks, after which
//!   free space that has fallen by what is left of the limit brings the next look forward; and if
//!   others free as much space meanwhile, 20 walks.
//! - What is over the limit is gone with the execution: its directory is removed, and what only
//!   its processes hold ends with them.
//!
//! What it does not:
//! - Space that is reserved without being written (fallocate(2)) comes faster than any rate; only
//!   its size per file is bounded.
//! - Files that are removed and held by neither a descriptor nor a mapping of a process, but by a
//!   descriptor on its way through a socket, are not seen.
//! - An agent without root's rights sees neither into directories that the function has closed to
//!   itself, nor what only a mapping holds: then the limit is not said to be enforced.
//! - Writes elsewhere are not counted: they are for the file access of the execution to refuse.
//!
//! A hard bound, refused by the kernel with EDQUOT, would be a project quota (ext4, XFS). It needs
//! a file system that was made and mounted for it, which this does not.

mod held;
mod quota;
mod tally;
mod walk;

pub(super) use quota::{Quota, reached};
pub(super) use tally::Excess;
