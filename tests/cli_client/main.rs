//! The command line against a scripted HTTP server: what it sends, what it shows, how it ends.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start the built binary and write its input files"
)]

mod commands;
mod context;
mod deploy;
mod double;
mod examples;
mod exec;
mod flux;
