//! `flux completions`: prints the completion script of a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::command::Cli;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer;

/// Prints a shell's completion script
#[derive(Debug, Args)]
#[command(
    after_help = "For bash: flux completions bash > /usr/share/bash-completion/completions/flux"
)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "flux", &mut script);
    printer::raw(&script)?;
    Ok(ExitCode::Ok)
}
