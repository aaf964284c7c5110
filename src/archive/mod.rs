//! Hostile zip archives: inspected, planned and extracted by our own loop.
//!
//! Owns: the decision whether an uploaded archive is acceptable, and the only code that turns one
//! into files. The control plane inspects and verifies, so that no upload becomes a version that
//! no agent can hold; the agent inspects again and extracts.
//! Refuses: whatever could reach outside the target directory, fill the disk, or be read in two
//! ways by two programs. `ZipArchive::extract` is never called.
//! Invariants: our own reading of the central directory is the authority, and the `zip` crate,
//! which inflates, has to agree with it entry by entry; nothing is written before the whole
//! archive is found acceptable; a failed extraction leaves nothing behind.
//!
//! Format: PKWARE's APPNOTE.TXT 6.3.10.

mod descriptor;
mod directory;
mod error;
mod extract;
mod extras;
mod frame;
mod header;
mod kinds;
mod layout;
mod limits;
mod names;
mod plan;
mod tree;
mod write;

#[cfg(test)]
#[expect(unreachable_pub, reason = "the tests outside have these files too")]
#[path = "../../tests/hostile_archives/mod.rs"]
mod hostile_archives;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod mutation_tests;

pub(crate) use error::ArchiveError;
pub(crate) use extract::extract;
pub use extract::verify;
pub use limits::ArchiveLimits;
pub use plan::{Plan, PlannedEntry, inspect};
