//! The JSON that clients read and send: one type for each document of the API, used by whoever
//! writes it and by whoever reads it.
//!
//! Every type serialises to the document and reads it back. Read leniently, because the other side
//! may be older or newer: unknown fields are passed over, and a field that came later has a default.
//! States and reasons are words here, which `model` gives and parses; what a program does not know it
//! passes on. Refuses: knowing where the figures come from (`api::views` fills these types).

pub(crate) mod agent;
pub(crate) mod error;
pub(crate) mod execution;
pub(crate) mod function;
pub(crate) mod machine;
mod null;
pub(crate) mod record;
