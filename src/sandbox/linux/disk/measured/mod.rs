//! The disk limit where the file system holds none: the working directory is measured again and again,
//! never by following a link.
//!
//! `looks` decides when to look and when a look is a verdict; `walk` goes through the directory,
//! `held` through the files that only a descriptor or a mapping still holds; `tally` adds up.
//!
//! What it guarantees: a sum that is too much is found by the next look, and the one after that makes it the
//! verdict. Until then a program can be over the limit by what it writes in a tenth of a second and three looks.
//! Where a look takes more than 10 ms of processor time (some five thousand files), that is thirteen looks.
//!
//! What it does not:
//! - Space that is reserved without being written (fallocate(2)) comes faster than any rate; only
//!   its size per file is bounded.
//! - An execution that ends between two looks is not judged, and one that ends before the first has no
//!   figure of what it held.
//! - Files that are removed and held by neither a descriptor nor a mapping of a process, but by a
//!   descriptor on its way through a socket, are not seen.
//! - Files more than 32 directories deep can be passed over by a look during which a directory above them is moved.
//! - A file that is replaced in the course of both looks counts twice in both. A program that does nothing else, in
//!   a tree so large that a look takes as long as writing the file, needs a limit with room for two of them.
//! - Of removed files behind more than some ten thousand descriptors and mappings, a look sees a part: their
//!   sum can stay unseen. Names are always looked at.
//! - An agent without root's rights sees neither into directories that the function has closed to
//!   itself, nor what only a mapping holds: then the limit is not said to be enforced.

mod held;
mod looks;
mod tally;
mod walk;

pub(super) use looks::{Looks, reached};
