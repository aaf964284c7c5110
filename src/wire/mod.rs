//! The generated protocol, and the only code that converts it.
//!
//! Everything that comes in is checked here and becomes a value of `model`, or of the types
//! beside the conversions where the protocol knows more than the model. Nothing behind this
//! module sees an unchecked name, a negative count or a status as text.

pub mod cancel;
pub mod drain;
pub mod ending;
pub mod ends;
pub mod error;
pub mod execute;
pub(crate) mod execution;
pub mod function;
pub mod listing;
pub mod method;
pub mod names;
pub mod node;
pub mod output;
pub(crate) mod record;
pub mod watch;

mod hash;
mod isolation;
mod number;

/// Generated from `proto/flux.proto`.
#[allow(
    clippy::all,
    missing_docs,
    clippy::pedantic,
    reason = "generated, with attributes of its own"
)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/flux.rs"));
}
