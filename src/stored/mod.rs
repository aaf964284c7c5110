//! What functions, agents and executions look like on disk: JSON with a version, apart from the
//! domain types.
//!
//! Compatibility, from the first release on: a field that is added has a default; a change of
//! meaning is a new variant, and the old one stays readable. What an older program cannot read it
//! refuses, never guesses. States are words, because an enum's position would change its meaning
//! when one is added.

pub(crate) mod agent;
pub(crate) mod config;
pub(crate) mod corrupt;
mod json;
pub(crate) mod record;
pub(crate) mod record_table;
