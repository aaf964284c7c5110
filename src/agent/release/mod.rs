//! The code of functions on disk: received, verified, extracted beside what runs, kept as long as
//! it is needed.
//!
//! ```text
//! apps_dir/<function>/<version>-<first 12 digits of the digest>/…    one release, never changed
//! apps_dir/.incoming/                                                half extracted; cleared at start
//! apps_dir/.trash/                                                   half removed; cleared at start
//! ```
//!
//! Owns: everything below `apps_dir`.
//! Refuses: archives whose digest is not the promised one; to change or replace a release.
//! Invariants: a release's directory appears whole and synced, by one rename; which release is
//! current is the caller's to remember (the journal stores it), so there is no link to switch; a
//! release that somebody holds is never removed; functions can read all of
//! their own and write none.

mod access;
mod directories;
mod error;
mod grants;
mod incoming;
mod releases;

#[cfg(test)]
mod tests;

pub(crate) use error::ReleaseError;
pub use grants::Access;
pub(crate) use incoming::Incoming;
pub use releases::{Release, Releases};
