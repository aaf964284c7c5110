//! `flux agent`: what an operator does with one agent.

use clap::{Args, Subcommand};

use crate::cli::client::document::Document;
use crate::cli::client::http::Client;
use crate::cli::client::names;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::{self, Printer};
use crate::contract::agent::{Agent, Drain, Enroll, Enrolled, Register, Registered, Removed};
use crate::model::ids::AgentId;

/// Enrols, registers, drains or removes an agent
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a one-time token with which a new agent gets its certificate
    Enroll {
        /// The new agent's id
        id: String,
    },
    /// Add an agent that is running, by its address
    Register {
        /// host:port
        address: String,
        /// Reach it without TLS
        #[arg(long)]
        no_tls: bool,
    },
    /// Send an agent nothing new; what runs there goes on to its end
    Drain {
        /// The agent
        id: String,
        /// Take the drain back: send it work again
        #[arg(long)]
        undo: bool,
    },
    /// Remove an agent from the fleet
    Remove {
        /// The agent
        id: String,
    },
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let printer = Printer::new(target.json);
    match &arguments.action {
        Action::Enroll { id } => enroll(&target.client()?, &names::agent(id)?, printer),
        Action::Register { address, no_tls } => {
            let body = Register {
                address: address.clone(),
                tls: Some(!no_tls),
            };
            let answer: Document<Registered> = target.client()?.post("/agents/register", &body)?;
            let line = format!("registered {} at {}", answer.id, answer.address);
            printer.show_line(&answer, &line)
        }
        Action::Drain { id, undo } => {
            let id = names::agent(id)?;
            let body = Drain { drain: !undo };
            let path = format!("/agents/{id}/drain");
            let answer: Document<Agent> = target.client()?.post(&path, &body)?;
            let line = if *undo {
                // Its status says nothing yet: before it gets work, it is brought up to date.
                format!("{id} gets work again once it holds every function")
            } else {
                format!("{id} is draining")
            };
            printer.show_line(&answer, &line)
        }
        Action::Remove { id } => {
            let id = names::agent(id)?;
            let answer: Document<Removed> = target.client()?.delete(&format!("/agents/{id}"))?;
            printer.show_line(&answer, &format!("removed {id}"))
        }
    }?;
    Ok(ExitCode::Ok)
}

/// Prints the token alone on stdout, where a script can take it, and what to do with it on stderr.
fn enroll(client: &Client, id: &AgentId, printer: Printer) -> Result<(), CliError> {
    let body = Enroll {
        agent_id: id.to_string(),
    };
    let answer: Document<Enrolled> = client.post("/agents/enroll", &body)?;
    if answer.token.is_empty() {
        return Err(client.protocol("the answer to POST /agents/enroll holds no token"));
    }
    printer.show_line(&answer, &answer.token)?;
    let url = client.url();
    printer::note(&format!(
        "good for one use until {}; on the new machine:",
        answer.expires_at
    ));
    printer::raw_stderr(
        format!("  flux-agent join {url} TOKEN\n(or `-` in place of TOKEN, to read it from standard input)\n").as_bytes(),
    );
    Ok(())
}
