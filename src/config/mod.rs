//! Configuration: YAML text becomes checked values, in two steps.
//!
//! First `document` makes a bounded tree of texts with their places; it knows YAML and nothing
//! else. Then `section` reads that tree key by key into the types of [`server`], [`agent`] and
//! [`function`]; it names every bad key of a document at once, and nobody else sees raw values.
//!
//! Invariants: 0 is a value and never "unset"; unknown keys are errors; the value of a secret
//! stands in no error and in no `Debug` output.

pub mod agent;
mod document;
pub mod error;
pub mod function;
pub mod isolation;
mod locate;
mod read;
pub mod redis_address;
pub mod secret;
mod section;
pub mod server;

#[cfg(test)]
mod tests;
