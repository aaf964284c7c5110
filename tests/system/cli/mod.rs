//! The command line as a new user meets it, against the real daemons.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start the real programs and write their input files"
)]

pub mod commands;
pub mod configuration;
pub mod dev;
pub mod exec;
pub mod join;
pub mod secrecy;
pub mod templates;
pub mod user;
