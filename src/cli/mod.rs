//! The command line: one file per command, over the HTTP API.
//!
//! Data goes to stdout and everything else to stderr; `--json` gives the API's own JSON. Keys come
//! from files, the environment or the context file, never from an argument. What every way to end
//! means to a shell stands in [`exit_code`].

pub mod agent;
pub mod agent_daemon;
pub mod agents;
pub mod cancel;
pub mod client;
pub mod command;
pub mod completions;
pub mod context;
pub mod daemon_exit;
pub mod delete;
pub mod deploy;
pub mod dev;
pub mod error;
pub mod events;
pub mod exec;
pub mod execution;
pub mod executions;
pub mod exit_code;
pub mod follow;
pub mod functions;
pub mod ignore;
pub mod init;
pub mod interrupt;
pub mod join;
pub mod logging;
pub mod login;
pub mod logs;
pub mod package;
pub mod pki;
pub mod printer;
pub mod record;
pub mod rollback;
pub mod server;
pub mod status;
pub mod table;
pub mod target;
pub mod versions;
