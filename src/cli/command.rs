//! `flux` itself: the options that all commands share, and which command it is.

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
    /// Which control plane, and how to show its answers.
    #[command(flatten)]
    pub(crate) target: Target,
    /// What to do; without it, the control plane where flux.yaml is found.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Every command; each has a file of its own.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the control plane as a daemon, with flux.yaml
    Server(server::Arguments),
    /// Run control plane and agent in one process, on loopback, without configuration
    Dev(dev::Arguments),
    /// Write a new function's directory, ready to deploy
    Init(init::Arguments),
    /// Register the function in a directory and deploy its code
    Deploy(deploy::Arguments),
    /// Start a function and show its output live; ends with its exit code
    Exec(exec::Arguments),
    /// List executions
    Executions(executions::Arguments),
    /// Show one execution's record
    Execution(execution::Arguments),
    /// Show one execution's output
    Logs(logs::Arguments),
    /// Cancel an execution: its processes are dead when this returns
    Cancel(cancel::Arguments),
    /// List functions, or show one
    Functions(functions::Arguments),
    /// List a function's versions
    Versions(versions::Arguments),
    /// Go back to the version before, or to a given one
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
    /// Whether the control plane is ready, and what its machines do
    Status(status::Arguments),
    /// Print a shell's completion script
    Completions(completions::Arguments),
}

/// Reads the command line and runs it; help, version and usage errors end the process in clap.
pub fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Server(arguments)) => server::run(arguments),
        Some(Command::Dev(arguments)) => dev::run(arguments),
        Some(command) => run(command, &cli.target).into(),
        None => server::run_if_configured(),
    }
}

/// Runs one command and says on stderr what kept it from success.
pub(crate) fn run(command: &Command, target: &Target) -> ExitCode {
    let (result, is_exec) = match command {
        Command::Exec(arguments) => (exec::run(arguments, target), true),
        other => (dispatch(other, target), false),
    };
    match result {
        Ok(code) => code,
        Err(CliError::PipeClosed) => ExitCode::PIPE_CLOSED,
        Err(error) => {
            printer::failure(&error);
            if is_exec {
                error.exec_exit_code()
            } else {
                error.exit_code()
            }
        }
    }
}

fn dispatch(command: &Command, target: &Target) -> Result<ExitCode, CliError> {
    match command {
        // Daemons, started in main: they end with codes of their own.
        Command::Server(_) | Command::Dev(_) => Ok(ExitCode::Failure),
        Command::Init(arguments) => init::run(arguments, target),
        Command::Deploy(arguments) => deploy::run(arguments, target),
        Command::Exec(arguments) => exec::run(arguments, target),
        Command::Executions(arguments) => executions::run(arguments, target),
        Command::Execution(arguments) => execution::run(arguments, target),
        Command::Logs(arguments) => logs::run(arguments, target),
        Command::Cancel(arguments) => cancel::run(arguments, target),
        Command::Functions(arguments) => functions::run(arguments, target),
        Command::Versions(arguments) => versions::run(arguments, target),
        Command::Rollback(arguments) => rollback::run(arguments, target),
        Command::Delete(arguments) => delete::run(arguments, target),
        Command::Agents(arguments) => agents::run(arguments, target),
        Command::Agent(arguments) => agent::run(arguments, target),
        Command::Pki(arguments) => pki::run(arguments, target),
        Command::Login(arguments) => login::run(arguments, target),
        Command::Status(arguments) => status::run(arguments, target),
        Command::Completions(arguments) => completions::run(arguments),
    }
}
