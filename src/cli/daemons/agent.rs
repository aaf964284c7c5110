//! `flux-agent`: the worker as a daemon, and its way into the fleet.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

use super::exit::{self, Unsupported};
use super::join;
use super::logging;
use crate::agent::daemon::Agent;
use crate::base::clock::Clock;
use crate::base::threads::Supervisor;
use crate::base::{process, signals};
use crate::cli::printer;
use crate::config::agent::AgentConfig;
use crate::sandbox::shed_bounding_set;

/// How this program calls itself in what it says to people.
pub(super) const PROGRAM: &str = "flux-agent";

/// Runs functions for a Flux control plane, each execution an isolated native process
#[derive(Debug, Parser)]
#[command(name = "flux-agent", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// The agent.yaml to read; else $AGENT_CONFIG, ./agent.yaml, /etc/flux-agent/agent.yaml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the configuration and say what is wrong with it, without starting
    #[arg(long)]
    check_config: bool,
    /// Without one, the agent serves.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get a certificate and a configuration with a token from: flux agent enroll ID
    Join(join::Arguments),
}

/// Reads the command line and runs it.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Some(Command::Join(arguments)) => join::run(arguments),
        None => serve(&arguments),
    };
    result.unwrap_or_else(|error| exit::not_started(PROGRAM, &error))
}

fn serve(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = AgentConfig::load(arguments.config.as_deref())?;
    if config.redis_addr.is_some() {
        bail!(Unsupported(
            "redis_addr: this version keeps its journal under state_dir; remove the key"
        ));
    }
    if arguments.check_config {
        printer::say(PROGRAM, "the configuration is good");
        return Ok(ExitCode::SUCCESS);
    }
    logging::start(&config.log);
    process::keep_memory_small();
    shed_bounding_set();
    process::raise_descriptor_limit();
    let supervisor = Supervisor::new();
    let _signals = signals::watch(&supervisor).context("cannot handle signals")?;
    let agent = Agent::start(&config, &Clock::system(), &supervisor)?;
    log::info!("agent {} listening on {}", config.agent_id, agent.address());
    process::tell_ready();
    supervisor.shutdown().wait();
    process::tell_stopping("finishing executions", agent.longest_stop());
    agent.shut_down();
    Ok(exit::after_shutdown(&supervisor))
}
