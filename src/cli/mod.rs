//! The command line: `flux`, over the HTTP API, and the start of both daemons.
//!
//! ```text
//! command     which command it is, and the options that all share
//! commands/   one file per command; daemons/: the programs that stay
//! client/     what commands share towards a control plane
//! printer, table, error, exit_code    what people and shells get to see
//! ```
//!
//! Data goes to stdout and everything else to stderr; `--json` gives the API's own JSON. Keys come
//! from files, the environment or the context file, never from an argument. What every way to end
//! means to a shell stands in [`exit_code`].

mod client;
pub mod command;
mod commands;
pub mod daemons;
mod error;
mod exit_code;
mod printer;
mod table;
