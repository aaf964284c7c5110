//! `flux` itself: which command it is, and how its end becomes the process's.

use clap::{Parser, Subcommand};

use super::client::target::Target;
use super::commands::agent;
use super::commands::agents;
use super::commands::cancel;
use super::commands::completions;
use super::commands::delete;
use super::commands::deploy;
use super::commands::exec;
use super::commands::execution;
use super::commands::executions;
use super::commands::functions;
use super::commands::init;
use super::commands::login;
use super::commands::logs;
use super::commands::pki;
use super::commands::rollback;
use super::commands::status;
use super::commands::versions;
use super::daemons::dev;
use super::daemons::server;
use super::error::CliError;
use super::exit_code::ExitCode;
use super::printer;

/// Runs any executable as a serverless function, on one machine or on a fleet
#[derive(Debug, Parser)]
#[command(name = "flux", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Without one: `server` where there is a configuration for it, else the help.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the control plane as a daemon, as flux.yaml configures it
    Server(server::Arguments),
    /// Run a control plane and an agent in one process, on loopback, without configuration
    Dev(dev::Arguments),
    /// Write a new function's directory, ready to deploy
    Init(init::Arguments),
    /// Register the function in a directory and deploy its code
    Deploy(deploy::Arguments),
    /// Run a function, show its output live, and exit with its exit code
    Exec(exec::Arguments),
    /// List executions
    Executions(executions::Arguments),
    /// Show one execution's record
    Execution(execution::Arguments),
    /// Show one execution's output
    Logs(logs::Arguments),
    /// Cancel an execution; its processes are dead when this returns
    Cancel(cancel::Arguments),
    /// List functions, or show one
    Functions(functions::Arguments),
    /// List a function's versions
    Versions(versions::Arguments),
    /// Go back to the previous version, or to a given one
    Rollback(rollback::Arguments),
    /// Delete a function and its versions
    Delete(delete::Arguments),
    /// List agents
    Agents(agents::Arguments),
    /// Enrol, register, drain or remove an agent
    Agent(agent::Arguments),
    /// List the certificates of this machine
    Pki(pki::Arguments),
    /// Remember a control plane and its key for later commands
    Login(login::Arguments),
    /// Show whether the control plane is ready, and what its machines are doing
    Status(status::Arguments),
    /// Print a shell's completion script
    Completions(completions::Arguments),
}

/// Reads the command line and does what it says. For help, version and a command line that is wrong,
/// clap ends the process itself.
pub fn main() -> std::process::ExitCode {
    let Cli { target, command } = Cli::parse();
    let Some(command) = command else {
        return server::run_if_configured();
    };
    let result = match &command {
        Command::Server(arguments) => return server::run(arguments),
        Command::Dev(arguments) => return dev::run(arguments),
        Command::Exec(arguments) => {
            return end(exec::run(arguments, &target), CliError::exec_exit_code);
        }
        Command::Init(arguments) => init::run(arguments, &target),
        Command::Deploy(arguments) => deploy::run(arguments, &target),
        Command::Executions(arguments) => executions::run(arguments, &target),
        Command::Execution(arguments) => execution::run(arguments, &target),
        Command::Logs(arguments) => logs::run(arguments, &target),
        Command::Cancel(arguments) => cancel::run(arguments, &target),
        Command::Functions(arguments) => functions::run(arguments, &target),
        Command::Versions(arguments) => versions::run(arguments, &target),
        Command::Rollback(arguments) => rollback::run(arguments, &target),
        Command::Delete(arguments) => delete::run(arguments, &target),
        Command::Agents(arguments) => agents::run(arguments, &target),
        Command::Agent(arguments) => agent::run(arguments, &target),
        Command::Pki(arguments) => pki::run(arguments, &target),
        Command::Login(arguments) => login::run(arguments, &target),
        Command::Status(arguments) => status::run(arguments, &target),
        Command::Completions(arguments) => completions::run(arguments),
    };
    end(result, CliError::exit_code)
}

/// Says on stderr what kept a command from success; `code_of` gives a failure its exit code.
fn end(
    result: Result<ExitCode, CliError>,
    code_of: fn(&CliError) -> ExitCode,
) -> std::process::ExitCode {
    let code = result.unwrap_or_else(|error| {
        if !matches!(error, CliError::PipeClosed) {
            printer::failure(&error);
        }
        code_of(&error)
    });
    code.into()
}
