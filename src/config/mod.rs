//! Configuration, and whatever else people write for Flux: text becomes checked values, in two
//! steps.
//!
//! First `yaml` or `json` makes a `document` of the text, a bounded tree; these two know their format
//! and nothing else. Then `section` reads that tree key by key, with the readers of single values
//! in `read`, into the types of [`server`], [`agent`] and [`function`], or of a request's body; it
//! names every bad key of a document at once, and nobody else sees raw values.
//!
//! Invariants: 0 is a value and never "unset"; unknown keys are errors; the value of a secret
//! stands in no error and in no `Debug` output.

pub(crate) mod agent;
pub(crate) mod document;
pub(crate) mod error;
pub mod function;
pub(crate) mod isolation;
pub(crate) mod json;
mod locate;
#[cfg_attr(unix, path = "platform/unix.rs")]
#[cfg_attr(windows, path = "platform/windows.rs")]
mod platform;
pub(crate) mod read;
pub(crate) mod redis_address;
pub(crate) mod secret;
pub(crate) mod section;
pub(crate) mod server;
mod yaml;

#[cfg(test)]
mod tests;
