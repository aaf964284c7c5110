//! `flux exec`: starts a function, shows its output as it comes, and ends as it ends.

use std::path::PathBuf;

use clap::Args;

use super::request::Request;
use crate::base::causes::with_causes;
use crate::cli::client::chunk::Chunk;
use crate::cli::client::document::Document;
use crate::cli::client::follow;
use crate::cli::client::http::Client;
use crate::cli::client::interrupt;
use crate::cli::client::record;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::{self, Printer};
use crate::contract::execution::{Accepted, Cancelled};
use crate::contract::record::Record;
use crate::model::ids::ExecutionId;

/// Runs a function, shows its output live, and exits with the function's exit code
#[derive(Debug, Args)]
#[command(
    after_help = "Ctrl-C cancels the execution. With --async --follow it only stops following.\n\
Exit codes beside the function's own: 124 it timed out, 125 Flux failed, 126 it could not be started, \
127 there is no such function, 128+n signal n ended it."
)]
pub(crate) struct Arguments {
    /// The function
    pub(super) name: String,
    /// Print the execution's id and return without waiting
    #[arg(long = "async")]
    detach: bool,
    /// With --async: show the output to the end all the same
    #[arg(long)]
    follow: bool,
    /// Standard input for the function: a file, or - for this command's own
    #[arg(long, value_name = "FILE")]
    pub(super) stdin: Option<PathBuf>,
    /// Add a variable to the function's environment; can be given several times
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub(super) environment: Vec<String>,
    /// Shorten the function's timeout for this execution, such as to 30s
    #[arg(long, value_name = "DURATION")]
    pub(super) timeout: Option<String>,
    /// Make it safe to repeat: the same key gives the same execution, never a second one
    #[arg(long, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
    /// Arguments for the function
    #[arg(last = true)]
    pub(super) args: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let request = Request::new(arguments)?;
    let client = target.client()?;
    let printer = Printer::new(target.json);
    if arguments.detach {
        let (answer, id) = start(&client, request)?;
        if !arguments.follow {
            printer.show_line(&answer, id.as_str())?;
            return Ok(ExitCode::Ok);
        }
        printer::note(&format!("execution {id}"));
        return show(&client, &id, printer);
    }
    let watch = interrupt::watch()?;
    let (_, id) = start(&client, request)?;
    let guard = watch.cancel(target.client()?, id.clone())?;
    let result = show(&client, &id, printer);
    drop(guard);
    if matches!(result, Err(CliError::PipeClosed)) {
        // As SIGPIPE would have ended a local process. Nobody is left to read about a failure.
        let _ = client.delete::<Cancelled>(&format!("/executions/{id}"));
    }
    result
}

fn start(client: &Client, request: Request) -> Result<(Document<Accepted>, ExecutionId), CliError> {
    let answer: Document<Accepted> = client.json(request.call, request.body.as_slice())?;
    let id = ExecutionId::new(&answer.execution_id).map_err(|error| {
        client.protocol(format!(
            "the execution was accepted, but {}",
            with_causes(&error)
        ))
    })?;
    Ok((answer, id))
}

fn show(client: &Client, id: &ExecutionId, printer: Printer) -> Result<ExitCode, CliError> {
    if printer.is_json() {
        return show_record(client, id);
    }
    let record = follow::follow(client, id, Chunk::show)?;
    if record.truncated {
        printer::note("the output was longer than the agent keeps; the rest of it is lost");
    }
    printer::note(&record::remark(&record));
    Ok(record::exit_code(&record))
}

fn show_record(client: &Client, id: &ExecutionId) -> Result<ExitCode, CliError> {
    let ended = follow::follow(client, id, |_| Ok(()))?;
    // The event is a record without the output.
    let record: Document<Record> = client.get(&format!("/executions/{id}")).unwrap_or(ended);
    printer::json(&record)?;
    Ok(record::exit_code(&record))
}
