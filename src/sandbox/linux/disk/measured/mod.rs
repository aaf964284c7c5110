//! The disk limit where the file system holds none: the working directory is measured again and again,
//! never by following a link.
//!
//! `looks` decides when to look and when a look is a verdict; `walk` goes through the directory,
//! `held` through the files that only a descriptor or a mapping still holds; `tally` adds up.
//!
//! What it guarantees: the sum is found to be too much at the next look. Until then a program can be over
//! it by what it writes in that time: at [`looks::WRITE_RATE`], for [`looks::LOOK_SOONEST`] and two walks.
//! Where the tree is so large that a walk takes more than some milliseconds, add four walks, after which
//! free space that has fallen by what is left of the limit brings the next look forward; and if
//! others free as much space meanwhile, 20 walks.
//!
//! What it does not:
//! - Space that is reserved without being written (fallocate(2)) comes faster than any rate; only
//!   its size per file is bounded.
//! - An execution that ends between two looks is not judged, and one that ends before the first has no
//!   figure of what it held.
//! - Files that are removed and held by neither a descriptor nor a mapping of a process, but by a
//!   descriptor on its way through a socket, are not seen.
//! - Of removed files behind more than some ten thousand descriptors and mappings, a look sees a part: their
//!   sum can stay unseen. What has a name is always seen.
//! - An agent without root's rights sees neither into directories that the function has closed to
//!   itself, nor what only a mapping holds: then the limit is not said to be enforced.

mod held;
mod looks;
mod tally;
mod walk;

pub(super) use looks::{Looks, reached};
