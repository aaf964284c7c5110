//! From a function's directory to the archive that is deployed.
//!
//! `ignore` says which files stay behind; `directory` packs the others.

pub(crate) mod directory;
pub(crate) mod ignore;
