//! The command line against a scripted HTTP server: what it sends, what it shows, how it ends.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start the built binary and write its input files"
)]

pub mod commands;
pub mod context;
pub mod deploy;
pub mod documents;
pub mod double;
pub mod examples;
pub mod exec;
pub mod flux;
