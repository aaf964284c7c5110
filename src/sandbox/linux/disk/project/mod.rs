//! The disk limit as a project quota, which the file system itself holds: ext4 with the features
//! `project` and `quota`, or XFS, mounted with `prjquota`.
//!
//! `projects` has the ids and gives one to each working directory; `project` is one of them, with its
//! limits and figures; `looks` asks for the figures while an execution runs; `quotactl` and
//! `attributes` are the system calls.
//!
//! What it guarantees, beyond what `disk` says of both ways:
//! - The kernel refuses (EDQUOT; XFS: ENOSPC) what would pass the limit, reservations included, and
//!   counts what is removed and still open, wherever it is held. The sum passes the limit by one page (or
//!   block, where that is larger) at the most, and the files by one: who is refused one more has taken
//!   that, and so is over its limit, as one that is measured. (The blocks by which ext4 finds a file's data
//!   again, one for some hundred of its extents, are counted, and never refused when data goes to the disk.)
//! - Figures are exact, and there is one at the end of each execution. The peak between two looks
//!   is not known.
//!
//! What it does not:
//! - A program that is refused something large whole, while there is room for something small, is not over
//!   its limit, and ends as it decides. ext4 gives what there is before it refuses, also to fallocate(2);
//!   XFS refuses a reservation whole, and kernels that write in larger pieces than pages refuse a piece.
//! - How deep directories are is not looked at.
//!
//! A function cannot leave its project: files of another one cannot be linked or moved in (EXDEV); what is
//! moved out stays counted; and the filter of system calls refuses what changes a file's project or
//! takes the inheritance from a directory.

mod attributes;
mod looks;
#[expect(clippy::module_inception, reason = "one of them is what it is called")]
mod project;
mod projects;
mod quotactl;

pub(super) use looks::Looks;
pub use project::Project;
pub use projects::Projects;
