//! The command line: `flux` as a client of the HTTP API, and the start of both daemons.
//!
//! ```text
//! command     which command it is, and how the process ends
//! commands/   the commands, a file each
//! daemons/    the programs that stay
//! client/     what commands share towards a control plane
//! platform/   terminals and files, where systems differ
//! printer, table, error, exit_code    what people and shells get to see
//! ```
//!
//! Invariants: data goes to stdout and everything else to stderr. Answers are read as the types of
//! `contract`, and `--json` passes on the API's own JSON. Keys come from files, the environment or the
//! context file, never from an argument.

mod client;
pub mod command;
mod commands;
pub mod daemons;
mod error;
mod exit_code;
#[cfg_attr(unix, path = "platform/unix.rs")]
#[cfg_attr(windows, path = "platform/windows.rs")]
mod platform;
mod printer;
mod table;
