//! The generated protocol, and the only code that converts it.

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
