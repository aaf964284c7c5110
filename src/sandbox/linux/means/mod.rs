//! What this machine can enforce.
//!
//! `inspect` tries it at the start and `findings` has what came of it; `identities` and
//! `capabilities` are about users; `demands` holds a specification against what there is.

pub(in crate::sandbox) mod capabilities;
pub(in crate::sandbox) mod demands;
pub(in crate::sandbox) mod findings;
pub(in crate::sandbox) mod identities;
pub(in crate::sandbox) mod inspect;

pub use capabilities::shed_bounding_set;
