//! The private working directories of executions.
//!
//! ```text
//! work_root/<execution id>/            mode 0700, owned by the user it runs as: its cwd
//! work_root/<execution id>/.tmp/       its TMPDIR
//! work_root/<execution id>/<name>      a link to each top-level name of the release
//! work_root/.spares/<n>/               one that ended as it began, for the next of its kind
//! ```
//!
//! Owns: everything below `work_root`.
//! Refuses: to follow whatever a function planted. A function owns its directory and can put
//! links, deep trees and unreadable directories there; removal works on descriptors only.
//! Invariants: a function finds no other's directory open; what it leaves behind is removed, at
//! the latest when the agent starts next; only a directory that is found unchanged is used again,
//! and only for the same release and user.

mod pristine;
mod remove;
mod spares;
mod work_dirs;

#[cfg(test)]
mod tests;

pub use work_dirs::{WorkDir, WorkDirs};
