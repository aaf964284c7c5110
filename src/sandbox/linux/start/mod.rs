//! From a specification to a process that runs contained.
//!
//! `spawn` prepares what one start needs, `clone` makes the process, in a cgroup where there is
//! one, and `child` is what it does before its program's first instruction: read that file before
//! you change a line in it. `image` and `stack` are what it must not allocate any more, and
//! `explain` the words for what failed there.

pub(in crate::sandbox) mod child;
pub(in crate::sandbox) mod clone;
pub(in crate::sandbox) mod explain;
mod image;
pub(in crate::sandbox) mod spawn;
mod stack;
