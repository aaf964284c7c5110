//! The command line as a new user meets it, against the real daemons.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start the real programs and write their input files"
)]

#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/configuration.rs"]
mod configuration;
#[path = "cli/dev.rs"]
mod dev;
#[path = "cli/exec.rs"]
mod exec;
#[path = "harness/mod.rs"]
mod harness;
#[path = "cli/join.rs"]
mod join;
#[path = "cli/secrecy.rs"]
mod secrecy;
#[path = "cli/templates.rs"]
mod templates;
#[path = "cli/user.rs"]
mod user;
